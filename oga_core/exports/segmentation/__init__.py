"""Images with masks in the format they came in."""
