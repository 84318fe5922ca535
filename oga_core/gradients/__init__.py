"""Per-sample gradients in reduced form: one pass over the data, from which every score is computed.

The door is `passes`: `gradient_pass` over samples, `outputs_pass` over a model's outputs. What to compute: `options`.
"""
