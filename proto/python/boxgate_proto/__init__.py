"""Generated stubs of the Boxgate contract."""
