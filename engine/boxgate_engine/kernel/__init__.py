"""The deterministic heart: what a moment does to the account.

Free functions over plain arrays, compiled by numba, with no clock, no file and no randomness. The rules and the order
in which they apply are docs/spec/execution.md; `settle.settle_moment` is the place to start reading.
"""
