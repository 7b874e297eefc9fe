"""Trials: how many runs were ever made of a strategy on a dataset, and how much of the best one that explains."""
