"""A scored run as a person asks it, in a notebook or a script."""
