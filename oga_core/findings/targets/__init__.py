"""Findings about labels that are no single class: numbers, several labels, and tags of words."""
