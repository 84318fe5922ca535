"""The run folder, and a scored run as arrays."""
