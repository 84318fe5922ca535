"""Per-sample gradients kept as factors: their sketches and norms without the gradient itself."""
