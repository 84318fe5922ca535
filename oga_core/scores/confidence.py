"""Scores from what the model says about the given label."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import Array, GradientSketch
from oga_core.scores.common import Values


def loss(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Cross-entropy, -log p(given label), `(n_samples,)`; small losses are clean: Han et al., arXiv 1804.06872."""
    return np.asarray(sketch.losses, dtype=np.float64)


def margin(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Largest other logit minus the given label's, `(n_samples,)`; the margin of Pleiss et al., arXiv 2001.10528."""
    return negative_margin(_logits(sketch), sketch)


def entropy(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Entropy of the prediction, -Σ p log p, `(n_samples,)`, 0 to log n_classes; finds hard samples, not wrong ones."""
    p = sketch.probabilities.astype(np.float64)
    return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)


def negative_margin(logits: Array | Values, sketch: GradientSketch) -> Values:
    """Largest logit of another class minus that of the given label, `(n_samples,)`."""
    rows = np.arange(len(sketch))
    others = np.array(logits, dtype=np.float64)
    given = others[rows, sketch.given_labels].copy()
    others[rows, sketch.given_labels] = -np.inf
    result: Values = others.max(axis=1) - given
    return result


def _logits(sketch: GradientSketch) -> Array:
    assert sketch.logits is not None, "the registry asks for logits"
    return sketch.logits
