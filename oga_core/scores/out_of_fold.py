"""The head trained again on frozen features, in folds, so that no sample is judged by a head that saw its label."""

from __future__ import annotations

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Array, Values, in_blocks, negative_margin, prior_adjusted, softmax
from oga_core.scores.common import canonical_order, once_per_sketch
from oga_core.scores.estimators.confident import class_thresholds
from oga_core.scores.heads import held_out_logits


def out_of_fold(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Negative prior-adjusted margin of a logistic head cross-validated on frozen features, `(n_samples,)`. Northcutt
    et al. 2021, arXiv 1911.00068 (out-of-sample probabilities); Menon et al. 2021, arXiv 2007.07314 (adjustment).

    Largest z_k - log π_k of another class minus that of the given one, π the mean predicted probabilities.
    """
    logits = out_of_fold_logits(sketch)
    return negative_margin(prior_adjusted(logits, softmax(logits)), sketch.given_labels)


def confident_learning(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Confident learning: margin of another class over the given one above each class's own threshold, `(n_samples,)`.
    Northcutt et al. 2021, arXiv 1911.00068.

    max_{k≠y} (p_k - t_k) - (p_y - t_y), with p out of fold and t_k the mean p_k of the samples given class k.
    """
    p = softmax(out_of_fold_logits(sketch))
    labels = sketch.given_labels
    thresholds = class_thresholds(p, labels)
    return in_blocks(lambda part: negative_margin(p[part] - thresholds, labels[part]), len(labels))


@once_per_sketch
def out_of_fold_logits(sketch: GradientSketch) -> Array:
    """Held-out logits of the cross-validated head, `(n_samples, n_classes)`."""
    assert sketch.steady_features is not None, "the registry asks for features"
    return held_out_logits(sketch.steady_features, sketch.given_labels, sketch.n_classes, canonical_order(sketch))
