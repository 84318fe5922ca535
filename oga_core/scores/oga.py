"""The default score: the odds that a label is wrong, by what the model, its features and its middle layers say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Values, cross_entropy, evenly_spaced, room
from oga_core.scores.common import canonical_order
from oga_core.scores.ensemble import MOST_INPUTS, Member, all_layers, ensemble, has_memorised, held_out_fits, weighed
from oga_core.scores.estimators.calibration import calibrated, log_likelihood, log_shares
from oga_core.scores.estimators.discriminant import fourier_features, standardised, validated_logits
from oga_core.scores.estimators.label_noise import LabelNoise, agreement
from oga_core.scores.estimators.neighbours import neighbour_logits
from oga_core.scores.language.given_prompt import unusual_response
from oga_core.scores.multilabel.evidence import several_labels
from oga_core.scores.regression.witnesses import unusual_loss, unusual_value
from oga_core.scores.segmentation.evidence import doubtful_masks
from oga_core.scores.tables.boosting import suits
from oga_core.scores.tables.corner import CornerNoise
from oga_core.scores.tagging.evidence import doubtful_tags

CLEAN_NEIGHBOURS = 5
CLEAN_REFERENCES = 4000
CLEAN_WEIGHTS = (1.0, 1 / 3)
"""What the fit on clean samples and the nearest of them count, as shares of what all other members count."""
CHECKPOINT_WEIGHT = 0.5
CORNER_WEIGHT = (1.0, 2.0)
"""What noise that fills a corner of a table counts, as a multiple of all members together: where it tells no more of
the labels than the trees do, which have learnt the corner, and where it surely tells more. Chosen with the truth in
view, on draws 0 to 2 of the benchmark's tables."""

RARE = 0.3
"""Of an even share of the samples: a rarer class, among what noise gives it, looks like a corner of wrong labels.
Chosen with the truth in view on draw 3 of adult with one of forty in a class: 0.26 there, 0.5 and more without."""


def oga(
    sketch: GradientSketch,
    *,
    seed: int = 0,
    validation: GradientSketch | None = None,
    checkpoints: Sequence[GradientSketch] = (),
) -> Values:
    """How likely the label is wrong, by the mean of up to seven members, each over its own spread, `(n_samples,)`.

    On the scale of log odds. Its members: the model's logits, averaged over views and adjusted for class priors (Menon
    et al. 2021, arXiv 2007.07314); leave-one-out discriminant analysis on the features of the last and the middle
    layers; the same on the middle layers alone; the same with a kernel, where that explains the labels better; for the
    rows of a table, boosted trees out of fold, which count as much as all others, and a straight fit where it tells
    nearly as much as the trees; and a fit of noise that fills a corner of a table's inputs, where it varies (see
    `tables.corner`). Each is calibrated and combined with estimates of which classes are mistaken for which
    (see `label_noise`); one that tells much less of the labels than the best counts for less. A memorised model's own
    logits and last features say nothing and are left out; the middle layers of earlier checkpoints, where they are
    given, count half a member. A fit on clean validation samples, where they are given, counts as much as all other
    members together, and the nearest of them a third as much.
    Rows of a language model have no classes: of them it is how unusual the response is, given its prompt (see
    `language.given_prompt`); of numbers how far each is from what its like have (see `regression.witnesses`); of
    several labels the largest probability that one is wrong (see `multilabel.evidence`); of sentences whose words have
    tags the largest odds that one is wrong (see `tagging.evidence`); of masks how much larger the losses of regions are
    than those of their like, and how far the gradient lies from others (see `segmentation.evidence`). Under a loss of
    one's own over classes or vectors it is how much larger the loss is than features lead to expect (see
    `regression.witnesses`). Raises `OgaError` where there is none of these.
    """
    if sketch.words is not None:
        return doubtful_tags(sketch)
    if sketch.region_kinds is not None:
        return doubtful_masks(sketch)
    if sketch.given_flags is not None:
        return several_labels(sketch)
    if sketch.targets is not None:
        return unusual_value(sketch)
    if sketch.logits is None:
        if sketch.output_gradients is not None:
            return unusual_loss(sketch)
        if sketch.prompt_states is None:
            raise OgaError("The score 'oga' needs logits of classes, or the states of a language model's last layer.")
        return unusual_response(sketch, checkpoints)
    members = [*ensemble(sketch)]
    if checkpoints and has_memorised(sketch):
        members.append(Member(checkpoint_logits(checkpoints), CHECKPOINT_WEIGHT))
    if validation is not None and len(validation):
        total = sum(member.weight for member in members)
        clean = (clean_logits(sketch, validation), clean_neighbours(sketch, validation))
        members += [Member(logits, total * share) for logits, share in zip(clean, CLEAN_WEIGHTS, strict=True)]
    members = weighed(members, sketch)
    in_corners = suits(sketch.inputs, sketch.n_classes)
    fits = [LabelNoise.of(member.logits, sketch.given_labels, in_corners=in_corners) for member in members]
    agreed = _agreement(members, fits)
    mean: Values = room(len(sketch), np.float64)
    mean[:] = 0
    total = sum(member.weight for member in members)
    for fit, member in zip(fits, members, strict=True):
        odds = fit.log_odds_of_another_label(agreed=agreed, anchor=member.sees_rows)
        odds *= member.weight / total / max(float(odds.std()), 1e-12)
        mean += odds
    return _with_corner(mean, members, agreed, sketch)


def _with_corner(odds: Values, members: Sequence[Member], agreed: float, sketch: GradientSketch) -> Values:
    """The mean odds with those of noise that fills a corner of a table, unless all see that it runs one way."""
    corner = _corner_noise(sketch) if agreed < 1 else None
    if corner is None:
        return odds
    labels = np.asarray(sketch.given_labels)
    trees = next(member.logits for member in members if member.sees_rows)
    by_trees = -cross_entropy(trees + log_shares(labels, sketch.n_classes), labels).astype(np.float64)
    least, most = CORNER_WEIGHT
    weight = (least + (most - least) * corner.tells_more(by_trees)) * corner.varies() * (1 - agreed)
    of_corner = corner.log_odds_of_another_label()
    mean: Values = (odds + weight / max(float(of_corner.std()), 1e-12) * of_corner) / (1 + weight)
    return mean


def _corner_noise(sketch: GradientSketch) -> CornerNoise | None:
    """The fit of noise that fills a corner of a table's inputs; None without rows, or of rows too few or too wide."""
    inputs, n_classes = sketch.inputs, sketch.n_classes
    if inputs is None or not suits(inputs, n_classes) or inputs.shape[1] > MOST_INPUTS:
        return None
    noise = CornerNoise.of(inputs, np.asarray(sketch.given_labels), n_classes, canonical_order(sketch))
    return noise if np.exp(noise.log_classes).mean(axis=0).min() * n_classes > RARE else None


def _agreement(members: Sequence[Member], fits: Sequence[LabelNoise]) -> float:
    """By the fits that have not seen the label which they judge; a model learns noise that it was trained on."""
    held_out = [(fit, member.weight) for fit, member in zip(fits, members, strict=True) if not member.has_seen_labels]
    return agreement(*zip(*held_out, strict=True))


def checkpoint_logits(checkpoints: Sequence[GradientSketch]) -> Array:
    """Mean of the leave-one-out fits on the middle layers that the model had earlier in training."""
    mean: Array = np.mean([held_out_fits(checkpoint)[-1] for checkpoint in checkpoints], axis=0, dtype=np.float32)
    return mean


def clean_logits(sketch: GradientSketch, validation: GradientSketch) -> Array:
    """Calibrated logits of discriminant analysis on validation samples, on all layers, linear or with a kernel."""
    features = all_layers(sketch)
    clean = all_layers(validation)
    both = fourier_features(np.concatenate([features, clean]))
    pairs = (features, clean), (both[: len(features)], both[len(features) :])
    labels = sketch.given_labels
    candidates = (validated_logits(a, labels, b, validation.given_labels, sketch.n_classes) for a, b in pairs)
    return max(candidates, key=lambda logits: log_likelihood(logits, labels))


def clean_neighbours(sketch: GradientSketch, validation: GradientSketch) -> Array:
    """Calibrated logits by the classes of the nearest validation samples, on all layers. Cover and Hart 1967."""
    both = standardised(np.concatenate([all_layers(sketch), all_layers(validation)]))
    rows = evenly_spaced(canonical_order(validation), CLEAN_REFERENCES)
    references = both[len(sketch) :][rows]
    labels = validation.given_labels[rows]
    logits = neighbour_logits(both[: len(sketch)], references, labels, sketch.n_classes, count=CLEAN_NEIGHBOURS)
    return calibrated(logits, sketch.given_labels)
