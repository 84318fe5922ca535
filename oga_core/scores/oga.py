"""The default score: the odds that a label is wrong, by what the model, its features and its middle layers say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from oga_core.gradient_sketch import Array, GradientSketch
from oga_core.scores.common import Values, once_per_sketch
from oga_core.scores.discriminant import discriminant_logits, standardised
from oga_core.scores.label_noise import calibrated, log_odds_of_another_label

MEMORISED = 1 / 3
"""A model is held to have memorised its labels when it errs on them this many times as often as a fit without them."""


def oga(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Mean log odds that the label is wrong, by up to three witnesses, each over its own spread, `(n_samples,)`.

    Witnesses: the model's logits, averaged over views and adjusted for class priors (Menon et al. 2021, arXiv
    2007.07314); leave-one-out discriminant analysis on the features of the last and the middle layers; the same on the
    middle layers alone. Each is calibrated and combined with an estimate of which classes are mistaken for which
    (see `label_noise`). A memorised model's own logits and last features say nothing and are left out.
    """
    odds = [log_odds_of_another_label(logits, sketch.given_labels) for logits in witnesses(sketch)]
    mean: Values = np.mean([part / max(float(part.std()), 1e-12) for part in odds], axis=0)
    return mean


@once_per_sketch
def witnesses(sketch: GradientSketch) -> list[Array]:
    """Calibrated class logits `(n_samples, n_classes)`, each from evidence of another kind."""
    if has_memorised(sketch):
        return [held_out_logits(sketch)]
    return [prior_adjusted(sketch), *_fits(sketch)]


def prior_adjusted(sketch: GradientSketch) -> Array:
    """Calibrated logits of the model, averaged over views, minus the log of each class's mean probability."""
    logits = sketch.logits if sketch.view_logits is None else sketch.view_logits
    assert logits is not None, "the registry asks for logits"
    adjusted = logits - np.log(np.maximum(sketch.probabilities.mean(axis=0), 1e-12))
    return calibrated(adjusted, sketch.given_labels)


@once_per_sketch
def held_out_logits(sketch: GradientSketch) -> Array:
    """Leave-one-out class logits from the layers that know least of the labels: middle ones, else the last."""
    features = next(part for part in (sketch.middle_features, *_last(sketch), sketch.logits) if part is not None)
    return discriminant_logits(features, sketch.given_labels, sketch.n_classes)


@once_per_sketch
def has_memorised(sketch: GradientSketch) -> bool:
    """Whether the model errs on the given labels much less often than a fit that does not see them."""
    assert sketch.logits is not None, "the registry asks for logits"
    errors = float((sketch.logits.argmax(axis=1) != sketch.given_labels).mean())
    return errors < MEMORISED * float((held_out_logits(sketch).argmax(axis=1) != sketch.given_labels).mean())


def _fits(sketch: GradientSketch) -> Iterator[Array]:
    """Leave-one-out fits on all layers together and on the middle ones, where there are any."""
    parts = [standardised(part) for part in (*_last(sketch), sketch.middle_features) if part is not None]
    if len(parts) > 1:
        yield discriminant_logits(np.concatenate(parts, axis=1), sketch.given_labels, sketch.n_classes)
    if parts:
        yield held_out_logits(sketch)


def _last(sketch: GradientSketch) -> list[Array]:
    features = sketch.features if sketch.view_features is None else sketch.view_features
    return [] if features is None else [features]
