"""Search: parameter sets proposed by Optuna in generations of a fixed size, from what the earlier ones made.

A generation is proposed as a whole, computed in any order, and told in the order in which it was proposed; so neither
the number of workers nor the moment at which one of them ends can change what is proposed next.
"""
