"""Scores of models that give every pixel a class."""
