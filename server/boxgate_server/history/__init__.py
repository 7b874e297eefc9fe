"""History for those who read it themselves: handles of sessions, signed tickets, Arrow Flight."""
