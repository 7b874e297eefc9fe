"""Which runs a matrix has: axes and windows, their product, the identity of each run without computing it."""
