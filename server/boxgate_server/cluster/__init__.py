"""Runs on all cores or on a cluster: the execution of a matrix on Ray, which is known to this package alone.

`execution` is what the driver of a matrix uses. It starts a process of its own, the `host`, and only that one and its
workers load Ray: nothing that Ray prints, keeps in its environment or dies of reaches the command.
"""
