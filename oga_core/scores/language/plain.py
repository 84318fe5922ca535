"""Plain scores of a language model's rows: losses of a response and of its tokens, norms by length, foreign tokens."""

from __future__ import annotations

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import SMALLEST, Array, Values


def instruction_difficulty(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Instruction-following difficulty: a response's loss after its prompt over its loss without, `(n_samples,)`, 0 or
    more. Li et al. 2024, arXiv 2308.12032.

    Above 1 the prompt makes the response less likely.
    """
    return _values(sketch.losses) / np.maximum(_values(sketch.prompt_free_losses), SMALLEST)


def prompt_free_loss(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Mean loss of the response's tokens without the prompt, `(n_samples,)`, 0 or more. Li et al. 2024, arXiv
    2308.12032.
    """
    return _values(sketch.prompt_free_losses)


def end_loss(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Loss of the last token that is trained on, `(n_samples,)`, 0 or more; no paper.

    High where a response ends too early.
    """
    return _values(sketch.end_losses)


def peak_loss(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Largest loss of a token that is trained on, `(n_samples,)`, 0 or more; no paper.

    High where one number of a long response is wrong.
    """
    return _values(sketch.peak_losses)


def new_tokens(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """Share of the response's tokens that do not occur in its prompt, `(n_samples,)`, 0 to 1; no paper."""
    return _values(sketch.new_token_shares)


def l2_norm_by_length(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """L2 norm of the gradient times the root of the response's length, ‖g‖ √T, `(n_samples,)`; no paper.

    The mean over T tokens whose gradients point anywhere is shorter by √T; without this short responses lead the list.
    """
    return _values(sketch.l2_norm_all) * np.sqrt(_values(sketch.response_lengths))


def _values(array: Array | None) -> Values:
    assert array is not None, "the registry asks for it"
    return np.asarray(array, dtype=np.float64)
