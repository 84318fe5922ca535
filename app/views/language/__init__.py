"""Pages of runs of language models."""
