"""What is kept of a matrix besides its runs: the ledger with its lease, the index, the definition."""
