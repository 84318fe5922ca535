"""Data in object stores and on the web: the parent fetches them, the jailed worker reads the copy."""

FOLDER = "data"
"""Where the copies lie in a run folder, each in a folder of its own."""
MANIFEST = "fetched.json"
"""Lies beside a copy, with the versions of its files."""
