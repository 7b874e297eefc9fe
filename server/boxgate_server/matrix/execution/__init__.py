"""Where runs are computed: what an execution is given, what it gives back, and the one inside this process."""
