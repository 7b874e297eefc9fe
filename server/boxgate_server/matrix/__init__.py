"""The matrix: many runs of one strategy, from one file; no result depends on where or in which order they are computed.

`config` reads the file, `planning` says which runs there are, `keeping` remembers what became of them, `execution`
computes them, and `driver` brings these together. `search` proposes parameter sets, `walk_forward` judges what was
chosen on one window by another, `trials` tells how much of the best is luck. Nothing here is imported by a single run.
"""
