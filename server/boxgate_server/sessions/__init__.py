"""Sessions: windows out, signals back, and the account in between."""
