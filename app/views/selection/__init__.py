"""What the filter selects, and what is done with all of it."""
