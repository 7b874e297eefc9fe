"""The file of a matrix: the keys of a run config, and besides them `matrix`, `runner` and `io`."""
