"""Scores of models that give a tag to every word."""
