"""Scores of the rows that a language model was trained on, which have no classes."""
