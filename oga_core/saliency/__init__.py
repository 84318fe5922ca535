"""Which part of a sample its loss comes from."""
