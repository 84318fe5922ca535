"""What a person sees of the data, read in a jailed process that stays while the run is open."""
