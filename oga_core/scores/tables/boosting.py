"""Gradient-boosted trees on the rows of a table, every row judged by trees that have not seen it."""

from __future__ import annotations

from collections.abc import Iterator

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
    probabilities = np.full((len(labels), n_classes), SMALLEST_PROBABILITY)
    for training, held_out in folds(labels, order):
        rows = evenly_spaced(training, LARGEST_FIT)
        probabilities[held_out] = trees(inputs[rows], labels[rows], inputs[held_out], n_classes)
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

    expected = np.empty(len(numbers))
    for others, held_out in folds(numbers, order):
        training = evenly_spaced(others, LARGEST_FIT)
        model = HistGradientBoostingRegressor(early_stopping=False, random_state=0, **SETTINGS)
        model.fit(inputs[training], numbers[training], sample_weight=weights[training])
        expected[held_out] = model.predict(inputs[held_out])
    return expected


def folds(labels: Indices | Values, order: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Rows to train on and rows to judge, every row judged once, all classes or sizes of numbers in all folds."""
    sorted_rows = order[np.argsort(labels[order], kind="stable")]
    for fold in range(FOLDS):
        yield np.delete(sorted_rows, np.arange(fold, len(sorted_rows), FOLDS)), sorted_rows[fold::FOLDS]


def trees(inputs: Array, labels: Indices, judged: Array, n_classes: int, *, weights: Values | None = None) -> Values:
    """Probabilities of the classes for the rows judged, by trees grown on others, `(n_judged, n_classes)`.

    weights: how much each row counts that is learnt from. 0 for classes that none is of, and for all with one class.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    probabilities = np.zeros((len(judged), n_classes))
    if len(np.unique(labels)) < 2:
        return probabilities
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0, **SETTINGS)
    model.fit(inputs, labels, sample_weight=weights)
    probabilities[:, model.classes_] = model.predict_proba(judged)
    return probabilities
