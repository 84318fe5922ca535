"""What a run will cost, before it runs: time, memory and disk of its stages."""
