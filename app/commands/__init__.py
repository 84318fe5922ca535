"""Commands of `oga` that have more to say than a few lines."""
