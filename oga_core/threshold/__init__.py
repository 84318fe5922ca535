"""From scores to what is flagged, and what to expect of it."""
