"""`boxgate matrix`: its commands, and what they show."""
