"""The ensemble behind the default score and the findings: class logits, each from evidence of another kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Indices, filled, prior_adjusted, room, softmax
from oga_core.scores.common import canonical_order, once_per_sketch
from oga_core.scores.estimators.calibration import calibrated, information, log_likelihood, log_shares
from oga_core.scores.estimators.discriminant import discriminant_logits, standardised
from oga_core.scores.feature_rows import FourierRows
from oga_core.scores.tables.boosting import boosted_logits, suits

MEMORISED = 1 / 3
"""A model is held to have memorised its labels when it errs on them this many times as often as a fit without them."""
TELLING = 0.25
"""A member that tells less of the labels than this share of what the best one tells is weighed down."""
CLEARLY = 2.0
"""A kernel is used where it makes all labels together likelier by this many nats."""
BOOSTED_WEIGHT = 1.0
"""What trees on the rows of a table count, as a multiple of all other members together: these see what the model made
of the row, and a small network makes little of categories and of numbers with long tails; but trees learn noise that
fills a corner of the inputs, which a small network does not."""
STRAIGHT = (0.5, 1.0)
"""Share of what the trees tell from which a straight fit on the rows counts, and from which as much as they do: bends
that tell little more of the labels may be noise that fills a corner. Chosen with the truth in view, on draws 0 and 100
to 102 of the benchmark's tables."""
MOST_INPUTS = 1024
"""A straight fit takes the cube of the number of columns, and one of noise in a corner weighs each of them."""
FARTHEST_LOGIT = 8.0
"""Classes are told apart by probabilities down to e^-8 of the likeliest one's."""
CHANCE_SIGMAS = 3.0
"""A model that agrees with the labels by no more than chance and this many standard deviations tells nothing."""


@dataclass(frozen=True, eq=False)
class Member:
    """Calibrated log-likelihoods of the classes, `(n_samples, n_classes)`, and how much they count.

    sees_rows: fitted on the rows of a table and not on what the model made of them.
    has_seen_labels: the model's own, which it was trained on.
    """

    logits: Array
    weight: float = 1.0
    sees_rows: bool = False
    has_seen_labels: bool = False


@once_per_sketch
def ensemble(sketch: GradientSketch) -> list[Member]:
    """The members that the arrays allow, with what each counts before it is asked how much it tells (see `weighed`)."""
    members = [Member(logits) for logits in held_out_fits(sketch)]
    if not has_memorised(sketch):
        fits = [Member(logits) for logits in _fit_on_all_layers(sketch)]
        members = [Member(model_logits(sketch), has_seen_labels=True), *fits, *members]
    return members + _fits_on_rows(sketch, BOOSTED_WEIGHT * len(members))


def _fits_on_rows(sketch: GradientSketch, weight: float) -> list[Member]:
    """Trees on the rows of a table and, where it tells nearly as much, a straight fit; neither saw the label judged."""
    inputs, labels, n_classes = sketch.inputs, sketch.given_labels, sketch.n_classes
    if inputs is None or not suits(inputs, n_classes):
        return []
    trees = boosted_logits(inputs, labels, n_classes, canonical_order(sketch))
    fits = [Member(trees, weight, sees_rows=True)]
    if inputs.shape[1] > MOST_INPUTS:
        return fits
    straight = discriminant_logits(inputs, labels, n_classes)
    least, enough = STRAIGHT
    told = information(straight, labels) / max(information(trees, labels), 1e-12)
    share = float(np.clip((told - least) / (enough - least), 0, 1))
    return fits + ([Member(straight, share * weight, sees_rows=True)] if share else [])


def weighed(members: list[Member], sketch: GradientSketch) -> list[Member]:
    """The members, those that tell much less of the labels than the best one counting for less.

    Without it a member that knows nothing would vote as loudly as the others, since odds are taken over their spread.
    A fit on rows keeps its weight: it has seen no label that it judges, while the model's features have, and a model
    that has learnt wrong labels tells more of the labels than one can know.
    """
    gains = [information(member.logits, sketch.given_labels) for member in members]
    enough = TELLING * max(*gains, 1e-12)
    shares = [
        1.0 if member.sees_rows else min(max(gain / enough, 1e-6), 1.0)
        for member, gain in zip(members, gains, strict=True)
    ]
    return [replace(member, weight=member.weight * share) for member, share in zip(members, shares, strict=True)]


def model_logits(sketch: GradientSketch) -> Array:
    """Calibrated logits of the model, averaged over views, minus the log of each class's mean probability."""
    assert sketch.steady_logits is not None, "the registry asks for logits"
    return calibrated(prior_adjusted(sketch.steady_logits, sketch.probabilities), sketch.given_labels)


@once_per_sketch
def held_out_fits(sketch: GradientSketch) -> list[Array]:
    """Leave-one-out class logits from the layers that know least of the labels: middle ones, else the last.

    A linear fit, and one with a kernel where that makes the labels clearly likelier: the best one is the last.
    """
    candidates = (sketch.middle_features, *last_layer(sketch), _bounded_logits(sketch))
    features = next(part for part in candidates if part is not None)
    labels = sketch.given_labels
    linear = discriminant_logits(features, labels, sketch.n_classes)
    kernel = discriminant_logits(FourierRows.of(features), labels, sketch.n_classes)
    gain = len(labels) * (log_likelihood(kernel, labels) - log_likelihood(linear, labels))
    return [linear, kernel] if gain > CLEARLY else [linear]


@once_per_sketch
def has_memorised(sketch: GradientSketch) -> bool:
    """Whether the model errs on the given labels much less often than a fit that does not see them.

    Logits alone cannot tell: a fit on them knows what the model knows.
    """
    assert sketch.logits is not None, "the registry asks for logits"
    if sketch.middle_features is None and not last_layer(sketch):
        return False
    errors = float((sketch.logits.argmax(axis=1) != sketch.given_labels).mean())
    predicted = (held_out_fits(sketch)[-1] + log_shares(sketch.given_labels, sketch.n_classes)).argmax(axis=1)
    return errors < MEMORISED * float((predicted != sketch.given_labels).mean())


@once_per_sketch
def mean_logits(sketch: GradientSketch) -> Array:
    """Log-likelihoods of the classes by the whole ensemble, `(n_samples, n_classes)`, without the classes' shares."""
    return _mean(weighed(ensemble(sketch), sketch), sketch)


@once_per_sketch
def mean_probabilities(sketch: GradientSketch) -> Array:
    """Probabilities of the classes by the whole ensemble and their shares, `(n_samples, n_classes)`."""
    return _with_shares(mean_logits(sketch), sketch)


@once_per_sketch
def held_out_probabilities(sketch: GradientSketch) -> Array:
    """The same by the fits on the rows of a table alone, by all where there are none, `(n_samples, n_classes)`.

    The labels that they judge have had no part in them. A model that was trained on a label, and its features, agree
    with it the more: the samples on which they are surest are those whose wrong labels they do not contradict.
    """
    fits = [member for member in ensemble(sketch) if member.sees_rows]
    return _with_shares(_mean(fits, sketch), sketch) if fits else mean_probabilities(sketch)


def _mean(members: list[Member], sketch: GradientSketch) -> Array:
    weights = [member.weight for member in members]
    return filled(
        room((len(sketch), sketch.n_classes)),
        lambda part: np.average([member.logits[part] for member in members], axis=0, weights=weights),
    )


def _with_shares(logits: Array, sketch: GradientSketch) -> Array:
    shares = log_shares(sketch.given_labels, sketch.n_classes)
    return filled(room(logits.shape), lambda part: softmax(logits[part] + shares))


def is_informative(sketch: GradientSketch) -> bool:
    """Whether the ensemble's most probable class agrees with the given one more often than by chance."""
    return agrees(mean_logits(sketch).argmax(axis=1), np.asarray(sketch.given_labels), sketch.n_classes)


def agrees(predicted: Indices, labels: Indices, n_classes: int) -> bool:
    """Whether classes `(n_samples,)` agree with the labels more often than by chance.

    Chance and its spread are those of two independent classifications with the same class counts (Fleiss, Cohen and
    Everitt, Psychological Bulletin 1969). With one class given nothing can be said, and the model is trusted.
    """
    n_samples = max(len(labels), 1)
    p, q = (np.bincount(part, minlength=n_classes) / n_samples for part in (predicted, labels))
    chance = float(p @ q)
    variance = max(chance + chance**2 - float((p * q) @ (p + q)), 0.0) / n_samples
    more = float((predicted == labels).mean()) - chance
    return bool(q.max() == 1 or more > CHANCE_SIGMAS * np.sqrt(variance) + 1e-9)


def all_layers(sketch: GradientSketch) -> Array:
    """Features of the last and the middle layers side by side, of each as many as there are; else the logits."""
    parts = [part for part in (*last_layer(sketch), sketch.middle_features) if part is not None]
    parts = parts or [_bounded_logits(sketch)]
    return np.concatenate([standardised(part) for part in parts], axis=1)


def last_layer(sketch: GradientSketch) -> list[Array]:
    """Features of the last layer, averaged over views, where there are any."""
    return [] if sketch.steady_features is None else [sketch.steady_features]


def _bounded_logits(sketch: GradientSketch) -> Array:
    """Log-probabilities, none far below the largest: what a nearly certain model says of impossible classes is noise.

    For outputs that come without features.
    """
    assert sketch.logits is not None, "the registry asks for logits"
    bounded: Array = np.maximum(sketch.logits - sketch.logits.max(axis=1, keepdims=True), -FARTHEST_LOGIT)
    return bounded


def _fit_on_all_layers(sketch: GradientSketch) -> list[Array]:
    """A leave-one-out fit on the last and the middle layers together, where there are both."""
    if sketch.middle_features is None or not last_layer(sketch):
        return []
    return [discriminant_logits(all_layers(sketch), sketch.given_labels, sketch.n_classes)]
