"""Parquet of other systems: decoded by a process of its own, read by column names or by the metadata."""
