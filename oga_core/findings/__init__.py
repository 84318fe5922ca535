"""What the scores and arrays of a run mean for a person."""

DUPLICATE = "near-duplicate"
NONE = "none"
WRONG_PROBABILITY = "wrong_label_probability"
"""The column of a run's table that holds how likely each label is wrong."""
LIKELY = 0.5
"""A label is called wrong, and changed by the suggestion, where that is likelier than not."""
