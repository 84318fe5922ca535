"""A page of samples: `sample_grid` shows them as tiles and decides on many at once."""
