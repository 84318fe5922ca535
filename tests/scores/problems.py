"""Small problems with known wrong labels, as gradient sketches."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import softmax


def blobs(
    n_samples: int = 300, n_classes: int = 3, flipped: float = 0.1, seed: int = 0
) -> tuple[GradientSketch, np.ndarray]:
    """Separable classes with a share of labels flipped, under a model that sees the true ones; and which are wrong."""
    rng = np.random.default_rng(seed)
    centres = 4.0 * np.eye(n_classes, 8)
    true = rng.integers(n_classes, size=n_samples)
    features = np.abs(centres[true] + rng.normal(size=(n_samples, 8))).astype(np.float32)
    given = true.copy()
    wrong = rng.random(n_samples) < flipped
    given[wrong] = (true[wrong] + rng.integers(1, n_classes, size=wrong.sum())) % n_classes
    return sketch_of(features, (features @ centres.T / 4).astype(np.float32), given), wrong


def sketch_of(features: np.ndarray, logits: np.ndarray, given: np.ndarray) -> GradientSketch:
    """A sketch with every array, as a gradient pass over the head would leave it."""
    rng = np.random.default_rng(0)
    probabilities = softmax(logits)
    delta = probabilities - np.eye(logits.shape[1], dtype=np.float32)[given]
    gradients = (delta[:, :, None] * features[:, None, :]).reshape(len(given), -1)
    projection = rng.normal(size=(gradients.shape[1], 16)).astype(np.float32) / 4
    return GradientSketch(
        given_labels=given.astype(np.int64),
        losses=-np.log(probabilities[np.arange(len(given)), given]),
        sketch=gradients @ projection,
        logits=logits,
        features=features,
        l1_norm_all=np.abs(gradients).sum(axis=1),
        l2_norm_all=np.linalg.norm(gradients, axis=1),
        middle_features=np.concatenate([features, rng.normal(size=features.shape).astype(np.float32)], axis=1),
        view_logits=logits + 0.1 * rng.normal(size=logits.shape).astype(np.float32),
    )


def numbers(n_samples: int = 300, wrong_share: float = 0.1, seed: int = 0) -> tuple[GradientSketch, np.ndarray]:
    """Numbers that depend on the features, a share of them another sample's, under a model that knows the true ones."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_samples, 6)).astype(np.float32)
    true = 50 + features @ np.array([9.0, -6.0, 3.0, 0.0, 0.0, 1.0]) + rng.normal(size=n_samples)
    wrong = rng.random(n_samples) < wrong_share
    given = np.where(wrong, true + rng.choice([-30, 30], n_samples), true)
    errors = (true + 0.5 * rng.normal(size=n_samples) - given)[:, None]
    gradients = (2 * errors * features).astype(np.float32)
    sketch = GradientSketch(
        given_labels=np.full(n_samples, -1),
        losses=(errors[:, 0] ** 2).astype(np.float32),
        sketch=gradients,
        features=features,
        targets=given,
        outputs=(given[:, None] + errors).astype(np.float32),
        output_gradients=(2 * errors).astype(np.float32),
        inputs=features,
    )
    return sketch, wrong


def answers(
    n_samples: int = 300, n_kinds: int = 4, bad: float = 0.1, seed: int = 0, spread: float = 0.1
) -> tuple[GradientSketch, np.ndarray]:
    """Rows of a language model with prompts of several kinds, and which responses are another kind's.

    Each kind has its own usual loss, length, response state and direction of the gradient; a bad response has a random
    kind's state, a higher loss than is usual for its prompt, and other tokens than it should. spread: of the states.
    """
    rng = np.random.default_rng(seed)
    kind = rng.integers(n_kinds, size=n_samples)
    wrong = rng.random(n_samples) < bad
    answered = np.where(wrong, (kind + rng.integers(1, n_kinds, size=n_samples)) % n_kinds, kind)

    def near(centres: np.ndarray, of: np.ndarray) -> np.ndarray:
        return (centres[of] + spread * rng.normal(size=(n_samples, centres.shape[1]))).astype(np.float32)

    losses = (0.5 * (1 + kind) * np.exp(0.2 * rng.normal(size=n_samples) + 1.0 * wrong)).astype(np.float32)
    gradients = near(rng.normal(size=(n_kinds, 16)), answered) * losses[:, None]
    lengths = np.round(4.0 * 2**answered + 1 + rng.random(n_samples)).astype(np.float32)
    return (
        GradientSketch(
            given_labels=np.full(n_samples, -1),
            losses=losses,
            sketch=gradients,
            l1_norm_all=np.abs(gradients).sum(axis=1) * np.sqrt(8 / lengths),
            l2_norm_all=np.linalg.norm(gradients, axis=1) / np.sqrt(lengths),
            prompt_states=near(rng.normal(size=(n_kinds, 8)), kind).astype(np.float16),
            prompt_means=near(rng.normal(size=(n_kinds, 8)), kind).astype(np.float16),
            response_means=near(rng.normal(size=(n_kinds, 8)), answered).astype(np.float16),
            response_lengths=lengths,
            end_losses=(rng.random(n_samples) + 0.6 * wrong).astype(np.float32),
            peak_losses=2 * losses,
            new_token_shares=np.clip(0.5 * rng.random(n_samples) + 0.25 * wrong, 0, 1).astype(np.float32),
            prompt_free_losses=(losses * np.where(wrong, 1, 2)).astype(np.float32),
        ),
        wrong,
    )
