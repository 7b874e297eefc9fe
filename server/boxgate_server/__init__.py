"""The gateway: sidecars, sessions, runs and the command line."""
