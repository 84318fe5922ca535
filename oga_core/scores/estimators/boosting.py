"""Gradient-boosted trees on the rows of a table, every row judged by trees that have not seen it."""

from __future__ import annotations

import numpy as np

from oga_core.numerics import Array, Indices, Values, evenly_spaced
from oga_core.scores.estimators.calibration import calibrated, log_shares
from oga_core.scores.regression.ridge import tukey_weights

FEWEST_SAMPLES = 1000
"""Trees of fewer rows are worse than a linear fit."""
MOST_CLASSES = 20
"""Every class grows trees of its own."""
LARGEST_FIT = 20_000
"""Rows of one fit, so that a table of a million takes a minute."""
FOLDS = 5
SETTINGS = {"learning_rate": 0.1, "max_iter": 60, "max_leaf_nodes": 15, "l2_regularization": 1.0}
"""Few, small trees: what scikit-learn fits by default learns wrong labels by heart."""
SMALLEST_PROBABILITY = 1e-4


def suits(inputs: Array | None, n_classes: int) -> bool:
    """Whether there are rows, and enough of them for trees."""
    return inputs is not None and len(inputs) >= FEWEST_SAMPLES and n_classes <= MOST_CLASSES


def boosted_logits(inputs: Array, labels: Indices, n_classes: int, order: Indices) -> Array:
    """Log-likelihoods of the classes, out of fold and calibrated, without class shares, `(n_samples, n_classes)`.

    inputs: `(n_samples, n_inputs)`. order: positions in an order that does not depend on that of the data.
    Histogram-based gradient boosting, Ke et al., NeurIPS 2017.
    """
    by_class = order[np.argsort(labels[order], kind="stable")]
    probabilities = np.full((len(labels), n_classes), SMALLEST_PROBABILITY)
    for fold in range(FOLDS):
        held_out = by_class[fold::FOLDS]
        others = np.delete(by_class, np.arange(fold, len(by_class), FOLDS))
        _predict(inputs, labels, evenly_spaced(others, LARGEST_FIT), held_out, probabilities)
    logs = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)).astype(np.float32)
    return calibrated(logs - log_shares(labels, n_classes), labels)


def boosted_values(inputs: Array, numbers: Values, order: Indices) -> Values:
    """Numbers as trees that have not seen them expect, `(n_samples,)`, fitted again with less weight for far ones.

    inputs: `(n_samples, n_inputs)`. order: positions in an order that does not depend on that of the data.
    """
    first = _left_out(inputs, numbers, np.ones(len(numbers)), order)
    return _left_out(inputs, numbers, tukey_weights(numbers - first), order)


def _left_out(inputs: Array, numbers: Values, weights: Values, order: Indices) -> Values:
    from sklearn.ensemble import HistGradientBoostingRegressor

    by_number = order[np.argsort(numbers[order], kind="stable")]
    expected = np.empty(len(numbers))
    for fold in range(FOLDS):
        held_out = by_number[fold::FOLDS]
        training = evenly_spaced(np.delete(by_number, np.arange(fold, len(by_number), FOLDS)), LARGEST_FIT)
        model = HistGradientBoostingRegressor(early_stopping=False, random_state=0, **SETTINGS)
        model.fit(inputs[training], numbers[training], sample_weight=weights[training])
        expected[held_out] = model.predict(inputs[held_out])
    return expected


def _predict(inputs: Array, labels: Indices, training: Indices, held_out: Indices, probabilities: Array) -> None:
    """Fill the rows held out with the probabilities of trees grown on the others."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    if len(np.unique(labels[training])) < 2:
        return
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0, **SETTINGS)
    model.fit(inputs[training], labels[training])
    probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(inputs[held_out])
