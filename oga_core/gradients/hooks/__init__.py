"""From calls of functions to per-sample gradients: what a layer keeps of a forward pass, and what comes of it."""
