"""How many labels are wrong, how likely each is, and so how many samples to trim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import NORMAL_90, Floats, Indices, Values, filled, in_blocks, room, sparse_inverse
from oga_core.scores.ensemble import ensemble, held_out_probabilities, is_informative, mean_probabilities
from oga_core.scores.estimators.calibration import information, log_shares, wrong_at_rate
from oga_core.scores.estimators.confident import most_confident_class
from oga_core.scores.estimators.confusion import anchors

OVERLAP = 0.02
"""Share of anchors that may lie between classes all the same, or whose class people dispute: not counted as noise.

In full where anchors' labels are contradicted at most half as often as those of all samples, and not at all where just
as often: there no class overlaps. With more, sets of a thousand samples get no suggestion however sure their worst are.
"""
WORTH_TRIMMING = 0.5
"""Trimming must take more wrong samples than right ones even if all ambiguous samples are right."""
CAUTION = 0.75
"""Of the noise rate's lower end, where its calibrated probabilities say how many of the trimmed are wrong at the least:
with all of it 2.4 % of clean white wine would go. Chosen with the truth in view on draws 0 and 100 of the benchmark."""


@dataclass(frozen=True)
class NoiseEstimate:
    """The share of wrong labels, 0 to 1, with an interval, and which class is given for which.

    rate: the share of samples that are confidently of another class than the given one, within the interval.
    low: what contradicts the given label among samples on whose class there is no doubt, less chance. high: all that
    contradicts it, were no class ambiguous, plus chance.
    confusions: `(n_classes, n_classes)` counts of confident samples, rows the likely class, columns the given one.
    """

    rate: float
    low: float
    high: float
    confusions: Indices

    @property
    def middle(self) -> float:
        """The middle of the interval: its low end counts no ambiguous label as wrong, its high end all."""
        return (self.low + self.high) / 2


def estimate_noise(sketch: GradientSketch) -> NoiseEstimate:
    """Estimate the share of wrong labels on probabilities that the labels did not make, by the confident joint.

    A sample counts as wrong when, among the classes whose probability reaches that of their own samples on average,
    the most probable is another one. Northcutt et al. 2021, arXiv 1911.00068. Where classes overlap, ambiguous samples
    look like wrong ones: the interval goes from what cannot be ambiguity to all that could be noise. A model that tells
    nothing about the labels gives a rate of 0 in an interval up to what guessing gets wrong.
    Raises `OgaError` where the model has no class logits.
    """
    if sketch.logits is None:
        raise OgaError("The noise rate needs class logits; this model has none. Choose the share to trim yourself.")
    labels = np.asarray(sketch.given_labels)
    n_classes = sketch.n_classes
    probabilities = mean_probabilities(sketch)
    likely = most_confident_class(probabilities, labels)
    confident = likely >= 0
    confusions = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(confusions, (likely[confident], labels[confident]), 1)
    if not is_informative(sketch):
        return NoiseEstimate(0.0, 0.0, 1 - 1 / n_classes, confusions)
    low = float(_share_of_classes(probabilities) @ least_noise(probabilities, labels))
    high = _most_noise(sketch)
    rate = float((confident & (likely != labels)).mean())
    return NoiseEstimate(float(np.clip(rate, low, high)), low, high, confusions)


def wrong_label_probability(sketch: GradientSketch, score: Values, rate: float) -> Values | None:
    """Return the probability that each given label is wrong, `(n_samples,)`, which rises with the score.

    From what the ensemble, which did not see the label, says against it. rate: its mean, 0 to 1. Isotonic over the
    score, so that no sample is likelier wrong than one that ranks above it. None where the evidence tells nothing about
    the labels, and where none or all of them are wrong.
    """
    if not is_informative(sketch) or not 0 < rate < 1:
        return None
    labels = np.asarray(sketch.given_labels)
    given = mean_probabilities(sketch)[np.arange(len(labels)), labels].astype(np.float64)
    return wrong_at_rate(given, score, rate)


def suggested_trim_fraction(
    sketch: GradientSketch, score: Values | None = None, *, budget: float | None = None
) -> float:
    """Share of the samples to trim, 0 to 1: the largest of which at least half are wrong, at most the noise rate.

    By the larger of two lower bounds: what unmixing the least noise leaves (see `surely_wrong`), of a table by fits
    that have not seen the labels, and the calibrated probabilities at nearly the lower end of the noise rate.
    score: `(n_samples,)`, what samples are trimmed by; by default how certainly each is wrong.
    budget: the paper's trimming budget, the largest share of the samples that may go, in (0, 1]. arXiv 2405.03869.
    """
    if budget is not None and not 0 < budget <= 1:
        raise OgaError(f"The trimming budget must be above 0 and at most 1, got {budget}.")
    noise = estimate_noise(sketch)
    if not is_informative(sketch):
        return 0.0
    wrong = surely_wrong(held_out_probabilities(sketch), np.asarray(sketch.given_labels))
    score = wrong if score is None else score
    calibrated = wrong_label_probability(sketch, score, CAUTION * noise.low)
    share = max(_worth_trimming(bound, score) for bound in (wrong, calibrated) if bound is not None)
    return min(share, noise.rate, 1.0 if budget is None else budget)


def _worth_trimming(wrong: Values, score: Values) -> float:
    """The largest share of the samples, most suspicious first, of which more than half are wrong, 0 to 1."""
    order = np.argsort(-score, kind="stable")
    precision = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision > WORTH_TRIMMING)
    return float(enough[-1] + 1) / len(order) if len(enough) else 0.0


def least_noise(probabilities: Floats, labels: Indices) -> Values:
    """Lower bound of the share of each true class that is given another label, `(n_classes,)`, from its anchors."""
    counts = anchors(_logarithms(probabilities), labels)
    total = np.maximum(counts.sum(axis=1), 1)
    wrong = counts.sum(axis=1) - np.diag(counts)
    spread = np.sqrt((wrong + 0.5) * (total - wrong + 0.5) / (total + 1) ** 2 / (total + 2))  # of a Beta posterior
    shares = _share_of_classes(probabilities)
    together = np.sqrt(np.sum((shares * spread) ** 2))  # the errors of many classes cancel
    mean = float(shares @ (wrong / total))
    contradicted = float((probabilities.argmax(axis=1) != labels).mean())
    overlap = OVERLAP * float(np.clip(2 - 2 * mean / max(contradicted, 1e-12), 0, 1))
    left = max(mean - NORMAL_90 * float(together) - overlap, 0.0)
    least: Values = left / max(mean, 1e-12) * wrong / total
    return least


def surely_wrong(probabilities: Floats, labels: Indices) -> Values:
    """Lower bound of the probability that each label is wrong, `(n_samples,)`, 0 with one class.

    The probabilities of the given labels are those of the true ones, mixed by the least noise; unmixing them (Patrini
    et al. 2017, arXiv 1609.03683) leaves what ambiguity explains: of that, nothing is wrong.
    """
    if probabilities.shape[1] < 2:
        return np.zeros(len(labels))
    moved = least_moved(probabilities, labels)
    unmixing = sparse_inverse(moved).T
    right_of_class = np.diag(moved)

    def wrong(part: slice) -> Values:
        some = probabilities[part]
        given = labels[part]
        true = np.maximum(np.einsum("ij,ij->i", some, unmixing[given]), 0)
        right = true * right_of_class[given] / np.maximum(some[np.arange(len(given)), given], 1e-12)
        return np.asarray(1 - np.clip(right, 0, 1))

    return in_blocks(wrong, len(labels))


def least_moved(probabilities: Floats, labels: Indices) -> Values:
    """Probability of every given class (columns) for samples of each true one, by the least noise, rows summing to 1.

    `(n_classes, n_classes)`.
    """
    counts = anchors(_logarithms(probabilities), labels)
    np.fill_diagonal(counts, 0)
    moved = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * least_noise(probabilities, labels)[:, None]
    return np.asarray(moved + np.diag(1 - moved.sum(axis=1)))


def _most_noise(sketch: GradientSketch) -> float:
    """Share of labels that the ensemble or its best member contradicts, whichever is more, plus chance.

    Of the members that have not seen the labels: a model contradicts fewer of those that it was trained on.
    """
    labels = np.asarray(sketch.given_labels)
    held_out = [member.logits for member in ensemble(sketch) if not member.has_seen_labels]
    best = max(held_out, key=lambda logits: information(logits, labels))
    shares = log_shares(labels, sketch.n_classes)
    readings = (mean_probabilities(sketch), filled(room(best.shape), lambda part: best[part] + shares))
    most = max(float((reading.argmax(axis=1) != labels).mean()) for reading in readings)
    return min(most + NORMAL_90 * float(np.sqrt(most * (1 - most) / max(len(labels), 1))), 1.0)


def _logarithms(probabilities: Floats) -> Floats:
    logarithms = room(probabilities.shape, probabilities.dtype)
    return filled(logarithms, lambda part: np.log(np.maximum(probabilities[part], 1e-12)))


def _share_of_classes(probabilities: Floats) -> Values:
    shares: Values = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)
    return shares
