"""Write a strategy, serve it, test it."""
