"""How good scores are, by the truth or by verdicts."""
