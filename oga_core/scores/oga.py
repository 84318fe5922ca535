"""The default score: the odds that a label is wrong, by what the model, its features and its middle layers say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Values, evenly_spaced, prior_adjusted
from oga_core.scores.common import canonical_order, once_per_sketch
from oga_core.scores.estimators.discriminant import (
    discriminant_logits,
    fourier_features,
    standardised,
    validated_logits,
)
from oga_core.scores.estimators.label_noise import calibrated, log_likelihood, log_odds_of_another_label
from oga_core.scores.neighbour import REFERENCES, neighbour_logits

MEMORISED = 1 / 3
"""A model is held to have memorised its labels when it errs on them this many times as often as a fit without them."""
TELLING = 0.25
"""An ensemble member that tells less of the labels than this share of what the best one tells is weighed down."""
CLEARLY = 2.0
"""A kernel is used where it makes all labels together likelier by this many nats."""
CLEAN_NEIGHBOURS = 5
CLEAN_WEIGHTS = (1.0, 1 / 3)
"""What the fit on clean samples and the nearest of them count, as shares of what all other members count."""


def oga(
    sketch: GradientSketch,
    *,
    seed: int = 0,
    validation: GradientSketch | None = None,
    checkpoints: Sequence[GradientSketch] = (),
) -> Values:
    """Mean log odds that the label is wrong, by an ensemble of up to four, each over its own spread, `(n_samples,)`.

    Its members: the model's logits, averaged over views and adjusted for class priors (Menon et al. 2021, arXiv
    2007.07314); leave-one-out discriminant analysis on the features of the last and the middle layers; the same on the
    middle layers alone; the same with a kernel, where that explains the labels better. Each is calibrated and combined
    with an estimate of which classes are mistaken for which (see `label_noise`); one that tells much less of the labels
    than the best counts for less. A memorised model's own logits and last features say nothing and are left out; the
    middle layers of earlier checkpoints, where they are given, count half a member. A fit on clean validation samples,
    where they are given, counts as much as all other members together, and the nearest of them a third as much.
    """
    members = [*ensemble_logits(sketch)]
    weights = np.ones(len(members))
    if checkpoints and has_memorised(sketch):
        members.append(checkpoint_logits(checkpoints))
        weights = np.append(weights, 0.5)
    if validation is not None and len(validation):
        members += [clean_logits(sketch, validation), clean_neighbours(sketch, validation)]
        weights = np.append(weights, weights.sum() * np.array(CLEAN_WEIGHTS))
    weights *= _informative(members, sketch)
    odds = [log_odds_of_another_label(logits, sketch.given_labels) for logits in members]
    mean: Values = np.average([part / max(float(part.std()), 1e-12) for part in odds], axis=0, weights=weights)
    return mean


@once_per_sketch
def ensemble_logits(sketch: GradientSketch) -> list[Array]:
    """Calibrated class logits `(n_samples, n_classes)`, each from evidence of another kind."""
    if has_memorised(sketch):
        return held_out_fits(sketch)
    return [model_logits(sketch), *_fit_on_all_layers(sketch), *held_out_fits(sketch)]


def model_logits(sketch: GradientSketch) -> Array:
    """Calibrated logits of the model, averaged over views, minus the log of each class's mean probability."""
    assert sketch.steady_logits is not None, "the registry asks for logits"
    return calibrated(prior_adjusted(sketch.steady_logits, sketch.probabilities), sketch.given_labels)


def checkpoint_logits(checkpoints: Sequence[GradientSketch]) -> Array:
    """Mean of the leave-one-out fits on the middle layers that the model had earlier in training."""
    mean: Array = np.mean([held_out_fits(checkpoint)[-1] for checkpoint in checkpoints], axis=0, dtype=np.float32)
    return mean


def clean_logits(sketch: GradientSketch, validation: GradientSketch) -> Array:
    """Calibrated logits of discriminant analysis on validation samples, on all layers, linear or with a kernel."""
    features, clean = _all_layers(sketch), _all_layers(validation)
    both = fourier_features(np.concatenate([features, clean]))
    pairs = (features, clean), (both[: len(features)], both[len(features) :])
    labels = sketch.given_labels
    candidates = (validated_logits(a, labels, b, validation.given_labels, sketch.n_classes) for a, b in pairs)
    return max(candidates, key=lambda logits: log_likelihood(logits, labels))


def clean_neighbours(sketch: GradientSketch, validation: GradientSketch) -> Array:
    """Calibrated logits by the classes of the nearest validation samples, on all layers. Cover and Hart 1967."""
    both = standardised(np.concatenate([_all_layers(sketch), _all_layers(validation)]))
    rows = evenly_spaced(canonical_order(validation), REFERENCES)
    references, labels = both[len(sketch) :][rows], validation.given_labels[rows]
    logits = neighbour_logits(both[: len(sketch)], references, labels, sketch.n_classes, count=CLEAN_NEIGHBOURS)
    return calibrated(logits, sketch.given_labels)


@once_per_sketch
def held_out_fits(sketch: GradientSketch) -> list[Array]:
    """Leave-one-out class logits from the layers that know least of the labels: middle ones, else the last.

    A linear fit, and one with a kernel where that makes the labels clearly likelier: the best one is the last.
    """
    features = next(part for part in (sketch.middle_features, *_last(sketch), sketch.logits) if part is not None)
    labels = sketch.given_labels
    linear = discriminant_logits(features, labels, sketch.n_classes)
    kernel = discriminant_logits(fourier_features(features), labels, sketch.n_classes)
    gain = len(labels) * (log_likelihood(kernel, labels) - log_likelihood(linear, labels))
    return [linear, kernel] if gain > CLEARLY else [linear]


@once_per_sketch
def has_memorised(sketch: GradientSketch) -> bool:
    """Whether the model errs on the given labels much less often than a fit that does not see them."""
    assert sketch.logits is not None, "the registry asks for logits"
    errors = float((sketch.logits.argmax(axis=1) != sketch.given_labels).mean())
    return errors < MEMORISED * float((held_out_fits(sketch)[-1].argmax(axis=1) != sketch.given_labels).mean())


def _fit_on_all_layers(sketch: GradientSketch) -> list[Array]:
    """A leave-one-out fit on the last and the middle layers together, where there are both."""
    if sketch.middle_features is None or not _last(sketch):
        return []
    return [discriminant_logits(_all_layers(sketch), sketch.given_labels, sketch.n_classes)]


def _informative(members: Sequence[Array], sketch: GradientSketch) -> Values:
    """What each member tells of the labels, as a share of a quarter of what the best one tells, 0 to 1.

    Without it a member that knows nothing would vote as loudly as the others, since odds are taken over their spread.
    """
    gains = [log_likelihood(logits, sketch.given_labels) + np.log(sketch.n_classes) for logits in members]
    best = max(*gains, 1e-12)
    return np.clip(np.array(gains) / (TELLING * best), 1e-6, 1)


def _all_layers(sketch: GradientSketch) -> Array:
    """Features of the last and the middle layers side by side, of each as many as there are; else the logits."""
    parts = [part for part in (*_last(sketch), sketch.middle_features) if part is not None]
    if not parts and sketch.logits is not None:
        parts = [sketch.logits]
    return np.concatenate([standardised(part) for part in parts], axis=1)


def _last(sketch: GradientSketch) -> list[Array]:
    return [] if sketch.steady_features is None else [sketch.steady_features]
