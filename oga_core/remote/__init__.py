"""Data in object stores and on the web: the parent fetches them, the jailed worker reads the copy."""
