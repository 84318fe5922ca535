"""A run before and after it is scored: the form, what the data hold, the result, and the next run from it."""
