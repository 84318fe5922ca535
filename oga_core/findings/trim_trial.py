"""Does trimming help? Heads on frozen features, trained without what is suggested and without as many at random."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import NORMAL_90, Array, Indices, Values, evenly_spaced, sparse_inverse
from oga_core.scores.common import canonical_order
from oga_core.scores.ensemble import has_memorised
from oga_core.scores.heads import held_out_logits
from oga_core.threshold.trim_trial import TrimTrial

RANDOM_TRIMS = 3
"""Their mean is compared with, so that the luck of one draw does not decide."""
MANY_CELLS = 2_000_000
"""Of samples times classes, beyond which one random trim is enough: that many classes take a head minutes, and the luck
of a draw is small among thousands of samples."""
MOST_SAMPLES = 20_000
"""A trial on more would take longer than seconds and tell a difference that matters to nobody."""

_ROUNDING = 1e-9
"""Differences below this are those of sums in another order."""


def try_trim(sketch: GradientSketch, flagged: Indices, moved: Values, *, seed: int = 0) -> TrimTrial | None:
    """Trim the flagged samples, and as many at random, from the training of heads, and judge those that are left out.

    flagged: positions. moved: `(n_classes, n_classes)`, how often each class is given for each (see `least_moved`).
    Every sample is judged by heads that were not trained on it, against its given label, and what noise does to labels
    is taken off without bias (Natarajan et al., NeurIPS 2013), so that noise one way does not count as right. None
    without features, or where there is nothing to trim.
    """
    features = _features(sketch)
    if features is None or sketch.n_classes < 2 or not len(flagged):
        return None
    rows = evenly_spaced(canonical_order(sketch), MOST_SAMPLES)
    trained = np.zeros(len(sketch), dtype=bool)
    trained[flagged] = True
    labels = np.asarray(sketch.given_labels)[rows]
    trained = trained[rows]
    right = sparse_inverse(moved)
    x = np.asarray(features)[rows]
    rng = np.random.default_rng(seed)
    order = np.arange(len(rows))

    def judged(without: Indices) -> Values:
        left_out = np.isin(order, without)
        predicted = held_out_logits(x, labels, sketch.n_classes, order, without=left_out).argmax(axis=1)
        return np.asarray(right[labels, predicted], dtype=np.float64)

    count = int(trained.sum())
    draws = RANDOM_TRIMS if len(rows) * sketch.n_classes <= MANY_CELLS else 1
    at_random = [judged(rng.choice(order, count, replace=False)) for _ in range(draws)]
    gains = judged(np.flatnonzero(trained)) - np.mean(at_random, axis=0)
    gains[np.abs(gains) < _ROUNDING] = 0  # where no head changes its mind, neither arm is better
    half = float(NORMAL_90 * gains.std() / np.sqrt(len(gains)))
    gain = float(gains.mean())
    return TrimTrial(gain, gain - half, gain + half)


def _features(sketch: GradientSketch) -> Array | None:
    """Of the last layer, or, where the model has memorised its labels, of middle ones."""
    if sketch.logits is None:
        return None
    if has_memorised(sketch) and sketch.middle_features is not None:
        return sketch.middle_features
    return sketch.steady_features
