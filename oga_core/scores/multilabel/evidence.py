"""How likely each label of each sample is wrong, by fits that did not see it."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Floats, Values, principal_axes
from oga_core.scores.common import canonical_order, once_per_sketch
from oga_core.scores.estimators.discriminant import standardised
from oga_core.scores.multilabel.rates import LabelRates, label_rates
from oga_core.scores.regression.ridge import PENALTIES

FOLDS = 5
"""Of the logistic regressions."""
WIDEST = 128
"""Principal axes of what the fits read: more take minutes of logistic regression and told no more."""
INVERSE_PENALTY = 0.1
"""scikit-learn's C of the logistic regressions, which leave room for wrong labels."""
LARGEST = 20.0
"""Log odds beyond which a fit knows nothing more."""


@once_per_sketch
def wrong_labels(sketch: GradientSketch) -> LabelRates:
    """The probability that each label is wrong, `(n_samples, n_labels)`, and the rates behind it."""
    given = labels_of(sketch)
    return label_rates(calibrated(held_out_logits(sketch), given), given)


def several_labels(sketch: GradientSketch) -> Values:
    """The largest probability that one of a sample's labels is wrong, `(n_samples,)`, 0 to 1.

    Fits on the inputs or the middle layers, since the head has learnt the wrong labels too: logistic regressions out
    of five folds and ridge regressions that leave each sample out, their mean log odds calibrated for each label; then
    the rates of dropped and of added labels from the surest ones (see `rates`).
    """
    return wrong_labels(sketch).probability.max(axis=1)


def labels_of(sketch: GradientSketch) -> Values:
    """Which labels each sample has, `(n_samples, n_labels)` of 0 and 1."""
    assert sketch.given_flags is not None, "only asked for several labels"
    return np.asarray(sketch.given_flags, dtype=np.float64)


def held_out_logits(sketch: GradientSketch) -> Values:
    """Log odds of every label by fits that did not see the sample's own, `(n_samples, n_labels)`."""
    x = _features(sketch)
    given = labels_of(sketch)
    folds = np.empty(len(x), dtype=np.int64)
    folds[canonical_order(sketch)] = np.arange(len(x)) % FOLDS
    ridge = calibrated(_left_out(x, given), given)
    return (ridge + _logistic(x, given, folds)) / 2


def calibrated(logits: Values, given: Values) -> Values:
    """Log odds a·z + b of every label that make the given labels most likely. Platt 1999."""
    from sklearn.linear_model import LogisticRegression

    result = np.empty_like(logits)
    for label in range(given.shape[1]):
        column = logits[:, label : label + 1]
        result[:, label] = _decided(LogisticRegression(C=100.0), column, given[:, label], column)
    return np.clip(result, -LARGEST, LARGEST)


def _features(sketch: GradientSketch) -> Array:
    """What the model makes of its inputs before its head, or the inputs themselves."""
    for part in (sketch.inputs, sketch.middle_features, sketch.features, sketch.sketch):
        if part is not None:
            features = np.asarray(part, dtype=np.float32)
            break
    features = standardised(features)
    return features if features.shape[1] <= WIDEST else principal_axes(features, WIDEST).project(features)


def _left_out(x: Floats, given: Values) -> Values:
    """Leave-one-out ridge regressions of the labels, each with the penalty of the smallest error."""
    x = x.astype(np.float64)
    n_samples = len(x)
    means = given.mean(axis=0)
    variances, axes = np.linalg.eigh(x.T @ x)
    z = x @ axes
    products = z.T @ (given - means)
    best = np.full(given.shape[1], np.inf)
    result = np.zeros_like(given)
    for penalty in PENALTIES:
        shrunk = 1 / (np.maximum(variances, 0) + penalty * n_samples)
        leverage = (z**2 @ shrunk + 1 / n_samples)[:, None]
        fitted = means + z @ (shrunk[:, None] * products)
        residuals = (given - fitted) / (1 - np.minimum(leverage, 0.99))
        errors = (residuals**2).mean(axis=0)
        better = errors < best
        result[:, better] = (given - residuals)[:, better]
        best = np.minimum(errors, best)
    return result


def _logistic(x: Floats, given: Values, folds: np.ndarray) -> Values:
    from sklearn.linear_model import LogisticRegression

    result = np.zeros_like(given)
    for label in range(given.shape[1]):
        for fold in range(FOLDS):
            out = folds == fold
            fit = LogisticRegression(C=INVERSE_PENALTY, max_iter=200)
            result[out, label] = _decided(fit, x[~out], given[~out, label], x[out])
    return np.clip(result, -LARGEST, LARGEST)


def _decided(fit: object, x: Floats, labels: Values, asked: Floats) -> Values:
    """Log odds by a fit; of a label that all or none have, those of its share."""
    if labels.min() == labels.max():
        share = (labels.sum() + 0.5) / (len(labels) + 1)
        return np.full(len(asked), np.log(share / (1 - share)))
    values: Values = fit.fit(x, labels > 0).decision_function(asked)  # type: ignore[attr-defined]
    return values
