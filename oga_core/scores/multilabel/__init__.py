"""Scores of models that give several labels a sample."""
