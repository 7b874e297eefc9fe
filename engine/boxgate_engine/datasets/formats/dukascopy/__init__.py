"""Dukascopy: exports as text, and the compressed hours of its data feed."""
