"""The command line `boxgate`, one module per group of commands."""
