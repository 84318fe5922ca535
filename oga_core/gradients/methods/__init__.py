"""The methods of computing per-sample gradients, from the fastest to the obviously correct one."""
