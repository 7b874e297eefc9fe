"""The deterministic engine: datasets, tape, kernel, metrics, artefacts, report."""
