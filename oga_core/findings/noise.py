"""How many labels are wrong, and so how many samples to trim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Floats, Indices, softmax
from oga_core.scores.oga import ensemble_logits, has_memorised
from oga_core.scores.out_of_fold import class_thresholds, out_of_fold_logits

RESAMPLES = 100
TAIL = 0.025
CHANCE_SIGMAS = 3.0
"""A model that agrees with the labels by no more than chance and this many standard deviations tells nothing."""


@dataclass(frozen=True)
class NoiseEstimate:
    """The share of wrong labels, 0 to 1, with an interval, and which class is given for which.

    rate: the share of samples that are confidently of another class than the given one.
    low, high: what the other readings of the same evidence say, widened by the chance in the draw of the samples.
    confusions: `(n_classes, n_classes)` counts of confident samples, rows the likely class, columns the given one.
    """

    rate: float
    low: float
    high: float
    confusions: Indices


def estimate_noise(sketch: GradientSketch, *, seed: int = 0) -> NoiseEstimate:
    """Estimate the share of wrong labels from the confident joint on probabilities that the labels did not make.

    A sample counts as wrong when, among the classes whose probability reaches that of their own samples on average,
    the most probable is another one. Northcutt et al. 2021, arXiv 1911.00068. The lowest reading counts samples that
    are confident of no class as right, the highest as wrong as the rest of their class. A model that tells nothing
    about the labels gives a rate of 0 in an interval up to what guessing gets wrong.
    Raises `OgaError` where the model has no class logits.
    """
    if sketch.logits is None:
        raise OgaError("The noise rate needs class logits; this model has none. Choose the share to trim yourself.")
    labels, n_classes = np.asarray(sketch.given_labels), sketch.n_classes
    likely = most_confident_class(mean_probabilities(sketch), labels)
    confident = likely >= 0
    confusions = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(confusions, (likely[confident], labels[confident]), 1)
    if not is_informative(sketch):
        return NoiseEstimate(0.0, 0.0, 1 - 1 / n_classes, confusions)
    readings = [most_confident_class(softmax(logits), labels) for logits in _evidence(sketch)]
    low, high = _interval([likely, *readings], labels, n_classes, np.random.default_rng(seed))
    rate = _lowest(likely, labels)
    return NoiseEstimate(rate, min(low, rate), max(high, rate), confusions)


def suggested_trim_fraction(sketch: GradientSketch, *, budget: float | None = None, seed: int = 0) -> float:
    """Share of the samples to trim, 0 to 1: the estimated noise rate, at most the budget where one is given.

    budget: the paper's trimming budget, the largest share of the samples that may go, in (0, 1]. arXiv 2405.03869.
    """
    if budget is not None and not 0 < budget <= 1:
        raise OgaError(f"The trimming budget must be above 0 and at most 1, got {budget}.")
    return min(estimate_noise(sketch, seed=seed).rate, 1.0 if budget is None else budget)


def mean_probabilities(sketch: GradientSketch) -> Array:
    """Class probabilities by the whole ensemble, `(n_samples, n_classes)`: softmax of their mean logits."""
    mean: Array = np.mean(ensemble_logits(sketch), axis=0, dtype=np.float32)
    return softmax(mean).astype(np.float32, copy=False)


def is_informative(sketch: GradientSketch) -> bool:
    """Whether the ensemble's most probable class agrees with the given one more often than by chance.

    Chance and its spread are those of two independent classifications with the same class counts (Fleiss, Cohen and
    Everitt, Psychological Bulletin 1969). With one class given nothing can be said, and the model is trusted.
    """
    labels, n_classes = np.asarray(sketch.given_labels), sketch.n_classes
    predicted = mean_probabilities(sketch).argmax(axis=1)
    p, q = (np.bincount(part, minlength=n_classes) / max(len(labels), 1) for part in (predicted, labels))
    chance = float(p @ q)
    variance = max(chance + chance**2 - float((p * q) @ (p + q)), 0.0) / max(len(labels), 1)
    more = float((predicted == labels).mean()) - chance
    return bool(q.max() == 1 or more > CHANCE_SIGMAS * np.sqrt(variance) + 1e-9)


def most_confident_class(probabilities: Floats, labels: Indices) -> Indices:
    """The most probable class among those that reach their threshold, -1 where none does, `(n_samples,)`."""
    reached = probabilities >= class_thresholds(probabilities, labels)
    best = np.where(reached, probabilities, -1).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1)


def _evidence(sketch: GradientSketch) -> Iterator[Array]:
    yield from ensemble_logits(sketch)
    if sketch.features is not None and not has_memorised(sketch):
        yield out_of_fold_logits(sketch)


def _interval(
    readings: list[Indices], labels: Indices, n_classes: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Lowest and highest reading over bootstrap resamples of the samples, less their outer tails."""
    lows, highs = [], []
    for _ in range(RESAMPLES):
        rows = generator.integers(len(labels), size=len(labels))
        lows.append(min(_lowest(likely[rows], labels[rows]) for likely in readings))
        highs.append(max(_highest(likely[rows], labels[rows], n_classes) for likely in readings))
    return float(np.quantile(lows, TAIL)), float(np.quantile(highs, 1 - TAIL))


def _lowest(likely: Indices, labels: Indices) -> float:
    return float(((likely >= 0) & (likely != labels)).mean())


def _highest(likely: Indices, labels: Indices, n_classes: int) -> float:
    confident = likely >= 0
    counted = np.bincount(labels[confident], minlength=n_classes)
    right = np.bincount(labels[confident & (likely == labels)], minlength=n_classes)
    share_right = np.where(counted > 0, right / np.maximum(counted, 1), 1.0)
    return float(1 - share_right[labels].mean())
