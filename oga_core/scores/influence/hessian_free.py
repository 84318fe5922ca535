"""Influence with the identity in place of the inverse Hessian: inner products of gradients, and one step ahead.

With validation data a score is positive where a training step on the sample raises the mean validation loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Values, cross_entropy, in_threads, slices, softmax, strongest_rival
from oga_core.scores.common import drawn
from oga_core.scores.estimators.curvature import (
    BLOCK,
    checked,
    gradients,
    head_gradients,
    mean_gradient,
    sketch_gradients,
)

DROPOUT_MASKS = 80
DROPOUT_RATE = 0.2
ADVERSARIAL_STEP = 1.3
"""Of the way to the boundary, as the authors set it."""
MASKED_WEIGHTS = 1 << 22
MASKED_LOGITS = 1 << 16
"""Weights and logits of models with dropout that are held at once: 16 MB, and 1 MB, which the processor's cache holds.
"""
MASKED_ROWS = 64
"""Samples whose logits these should be of at least: the weights are read once for all of them."""
MIRROR_DECREASE = 0.1


def tracin(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Inner product with the mean validation gradient, on the head: -v̄·g_i, `(n_samples,)`. Of one model, the final
    one: `IP` of Yang et al. 2024, arXiv 2405.17490; Pruthi et al. 2020, arXiv 2002.08484.
    """
    return -gradients(sketch).dot(mean_gradient(sketch, validation))


def tracin_sketch(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Inner product with the mean validation gradient, sketched, of all selected parameters: -s̄·s_i, `(n_samples,)`.
    Pruthi et al. 2020, arXiv 2002.08484.
    """
    training = sketch_gradients(sketch)
    return -training.dot(checked(training, sketch_gradients(validation)).mean())


def self_tracin_cp(sketch: GradientSketch, *, checkpoints: Sequence[GradientSketch], seed: int = 0) -> Floats:
    """TracInCP self-influence: mean over the checkpoints of ‖g_i‖² of the head, `(n_samples,)`. Pruthi et al. 2020,
    arXiv 2002.08484.

    Equal learning rates.
    """
    return np.mean([gradients(each).squared_norms() for each in _of_same_length(sketch, checkpoints)], axis=0)


def tracin_cp(
    sketch: GradientSketch,
    *,
    checkpoints: Sequence[GradientSketch],
    validation_checkpoints: Sequence[GradientSketch],
    seed: int = 0,
) -> Floats:
    """TracInCP: mean over the checkpoints of -v̄·g_i on the head, `(n_samples,)`. Pruthi et al. 2020, arXiv 2002.08484.

    The validation samples pass through the same checkpoints in the same order.
    """
    if len(checkpoints) != len(validation_checkpoints):
        raise OgaError(
            f"There are {len(checkpoints)} checkpoints of the training data and {len(validation_checkpoints)} "
            "of the validation data. Score both with the same checkpoints."
        )
    pairs = zip(_of_same_length(sketch, checkpoints), validation_checkpoints, strict=True)
    return np.mean([tracin(training, validation=validation) for training, validation in pairs], axis=0)


def _of_same_length(sketch: GradientSketch, checkpoints: Sequence[GradientSketch]) -> Sequence[GradientSketch]:
    if not checkpoints:
        raise OgaError("There are no checkpoints. Give at least one checkpoint of the same training run.")
    for number, each in enumerate(checkpoints, start=1):
        if len(each) != len(sketch):
            raise OgaError(
                f"Checkpoint {number} scored {len(each)} samples and the model {len(sketch)}. "
                "Score the same data with every checkpoint."
            )
    return checkpoints


def tracin_ensemble(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Inner product averaged over 80 models with dropout on the head's features: -mean_m v̄⁽ᵐ⁾·g_i⁽ᵐ⁾, `(n_samples,)`.
    Mask m zeroes a fifth of the features and scales the rest, for training and validation samples alike; logits, errors
    and gradients follow. `IPE` of Yang et al. 2024, arXiv 2405.17490.
    """
    return _mean(tracin(t, validation=v) for t, v in _dropout_pairs(sketch, validation, seed))


def self_tracin_ensemble(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Squared gradient norm of the head averaged over 80 models with dropout on its features, `(n_samples,)`. Yang et
    al. 2024, arXiv 2405.17490.

    The self-influence form of `tracin_ensemble`.
    """
    weights = head_weights(sketch)
    masks = _masks(sketch, seed)
    rows_of = head_gradients(sketch).right
    total = np.zeros(len(sketch))
    at_once = min(MASKED_WEIGHTS // weights.size, MASKED_LOGITS // (MASKED_ROWS * len(weights)))
    for some in slices(len(masks), max(1, at_once)):
        heads = weights[:, None, :-1] * masks[some]  # a mask on the features is one on the weights

        def norms(rows: slice, heads: Floats = heads, some: slice = some) -> Values:
            features = np.asarray(rows_of[rows], dtype=np.float32)
            logits = (features @ heads.reshape(-1, heads.shape[2]).T).reshape(-1, *heads.shape[:2])
            errors = softmax(logits + weights[:, -1:])
            errors[np.arange(len(errors)), sketch.given_labels[rows]] -= 1
            lengths = features.astype(np.float64) ** 2 @ masks[some].astype(np.float64).T ** 2 + 1
            products: Values = np.square(errors, dtype=np.float64).sum(axis=1) * lengths
            return products.sum(axis=1)

        total += in_threads(norms, len(sketch), max(1, MASKED_LOGITS // heads[:, :, 0].size))
    return total / len(masks)


def _mean(scores: Iterable[Floats]) -> Floats:
    """Mean of arrays that are made one at a time, since the models that they come from are as large as the data."""
    total = np.zeros(1)
    count = 0
    for values in scores:
        total = total + values
        count = count + 1
    return total / count


def _dropout_pairs(
    sketch: GradientSketch, validation: GradientSketch, seed: int
) -> Iterator[tuple[GradientSketch, GradientSketch]]:
    checked(head_gradients(sketch), head_gradients(validation))
    weights = head_weights(sketch)
    for mask in _masks(sketch, seed):
        yield _masked(sketch, weights, mask), _masked(validation, weights, mask)


def _masks(sketch: GradientSketch, seed: int) -> Floats:
    assert sketch.features is not None
    mask = np.random.default_rng(seed).random((DROPOUT_MASKS, sketch.features.shape[1])) >= DROPOUT_RATE
    return mask.astype(np.float32) / np.float32(1 - DROPOUT_RATE)


def _masked(sketch: GradientSketch, weights: Floats, mask: Floats) -> GradientSketch:
    assert sketch.features is not None
    features = (np.asarray(sketch.features) * mask).astype(np.float32)
    return GradientSketch(sketch.given_labels, sketch.losses, sketch.sketch, _logits(features, weights), features)


def _logits(features: Floats, weights: Floats) -> NDArray[np.float32]:
    return np.asarray(features @ weights[:, :-1].T + weights[:, -1], dtype=np.float32)


def head_weights(sketch: GradientSketch) -> Floats:
    """Weights of the head with the bias as last column, `(n_classes, n_features + 1)`, from features and logits.

    The logits are linear in the features, so least squares gives the weights on the span of the features, all that
    any score of these samples can see. Raises `OgaError` where the logits are not linear in the features.
    """
    assert sketch.logits is not None
    assert sketch.features is not None
    rows = drawn(sketch, 8 * BLOCK, seed=0)
    features = np.pad(np.asarray(sketch.features)[rows], ((0, 0), (0, 1)), constant_values=1).astype(np.float64)
    logits = np.asarray(sketch.logits)[rows].astype(np.float64)
    moment = features.T @ features
    moment[np.diag_indices(len(moment))] += 1e-9 * np.trace(moment) / len(moment)
    weights = np.linalg.solve(moment, features.T @ logits).T
    error = np.abs(features @ weights.T - logits).max() / max(np.abs(logits).max(), 1e-12)
    if error > 1e-2:
        raise OgaError(
            "The logits are not a linear function of the features, so the head's weights cannot be found "
            f"(relative error {error:.2g}). Give features that are the input of the last linear layer."
        )
    return weights.astype(np.float32)


def tracin_robustness(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Influence on the loss of validation samples moved across the decision boundary: -v̄_adv·g_i, `(n_samples,)`.
    Robustness form of Yang et al. 2024, arXiv 2405.17490.

    Each validation feature h moves to h - 1.3 · m / ‖w_y - w_k‖² · (w_y - w_k), with m the margin to the strongest
    other class k: over the linear head's boundary. Positive: a step on the sample makes the head easier to fool.
    """
    checked(head_gradients(sketch), head_gradients(validation))
    return tracin(sketch, validation=_attacked(validation, head_weights(sketch)))


def _attacked(sketch: GradientSketch, weights: Floats) -> GradientSketch:
    assert sketch.logits is not None
    assert sketch.features is not None
    labels = sketch.given_labels
    rows = np.arange(len(sketch))
    rivals = strongest_rival(sketch.logits, labels)
    margins = sketch.logits[rows, labels] - sketch.logits[rows, rivals]
    normals = (weights[labels] - weights[rivals])[:, :-1]
    lengths = np.maximum(np.einsum("ir,ir->i", normals, normals), 1e-12)
    features = sketch.features - (ADVERSARIAL_STEP * margins / lengths)[:, None] * normals
    return GradientSketch(labels, sketch.losses, sketch.sketch, _logits(features, weights), features)


def mirrored_head(sketch: GradientSketch, *, validation: GradientSketch, seed: int = 0) -> Floats:
    """Change of each training loss by a step on the validation samples: l_i(θ - ηv̄) - l_i(θ), `(n_samples,)`. Ko et
    al. 2024, arXiv 2402.08922.

    The head takes one step of gradient descent on all validation samples, where the authors take one of Adam's with
    the whole network on one sample. By forward passes alone, z' = z - η V̄ h; η lowers the validation loss by a tenth
    at first order. Positive: what helps the validation samples makes this one worse.
    """
    head = head_gradients(sketch)
    direction = mean_gradient(sketch, validation)
    length = max(float(np.sum(direction.astype(np.float64) ** 2)), 1e-12)
    step = MIRROR_DECREASE * max(float(np.mean(validation.losses)), 1e-12) / length
    result = np.empty(len(sketch), dtype=np.float32)
    assert sketch.logits is not None
    for rows, _, right in head.blocks():
        logits = np.asarray(sketch.logits[rows])
        labels = sketch.given_labels[rows]
        moved = logits - np.float32(step) * (right @ direction.T)
        result[rows] = cross_entropy(moved, labels) - cross_entropy(logits, labels)
    return result


def self_mirrored_head(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Rise of a sample's own loss when a step unlearns it: l_i(θ + ηg_i) - l_i(θ), `(n_samples,)`, 0 or more. Ko et al.
    2024, arXiv 2402.08922.

    The sample in the place of the validation data in the mirrored influence, with the ascent step of its authors.
    On the head a forward pass is enough, z' = z + η (p - y) (‖h‖² + 1); one η for all samples, which raises the
    mean loss by a tenth at first order.
    """
    head = head_gradients(sketch)
    assert sketch.logits is not None
    step = MIRROR_DECREASE * max(float(np.mean(sketch.losses, dtype=np.float64)), 1e-12)
    step /= max(float(head.squared_norms().mean()), 1e-12)
    result = np.empty(len(sketch))
    for rows, left, right in head.blocks():
        logits = np.asarray(sketch.logits[rows], dtype=np.float64)
        labels = sketch.given_labels[rows]
        lengths = np.einsum("ir,ir->i", right, right, dtype=np.float64)
        result[rows] = cross_entropy(logits + step * lengths[:, None] * left, labels) - cross_entropy(logits, labels)
    return result


def class_mean_cosine(sketch: GradientSketch, *, seed: int = 0) -> Floats:
    """Minus the cosine with the given class's mean direction, -u_i·ū / ‖ū‖, u = g / ‖g‖; ours, from no paper.

    `(n_samples,)`, -1 to 1, on the head's gradient, or the sketch where there is no head. Directions and not gradients
    are averaged, so that a few large gradients of wrong labels do not turn the mean.
    """
    grads = gradients(sketch)
    lengths = np.maximum(np.sqrt(grads.squared_norms()), 1e-12)
    result = np.zeros(len(sketch), dtype=np.float32)
    for label in np.unique(sketch.given_labels):
        rows = np.flatnonzero(sketch.given_labels == label)
        members = grads.take(rows)
        mean = members.mean(1 / lengths[rows])
        result[rows] = -members.dot(mean) / lengths[rows] / max(float(np.linalg.norm(mean)), 1e-12)
    return result
