"""What the scores and arrays of a run mean for a person."""

DUPLICATE = "near-duplicate"
NONE = "none"
