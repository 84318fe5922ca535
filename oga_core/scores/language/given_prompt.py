"""What a response is, given its prompt: residuals of its loss, its end, its states, its words and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Values
from oga_core.scores.common import once_per_sketch
from oga_core.scores.language.residuals import LEAST, PromptRegression, even_residuals, prompt_inputs

MEMORISED = 0.1
"""Mean loss of a token below which a model has learnt its rows by heart: it gives nine tenths to each right token."""
NORMAL_DEVIATION, ROUNDING = 1.4826, 1e-9
"""Standard deviations of a normal distribution in its median absolute deviation; a spread below that is none."""
TAIL, TAIL_DEVIATIONS = 0.1, 1.2816
"""The upper share of the rows that a part's spread is also told by, and where it begins in a normal distribution. Where
a tenth of all rows stand far out in a part, as in the lengths of numbers, most of them are healthy."""


@once_per_sketch
def _regression(sketch: GradientSketch) -> PromptRegression:
    assert sketch.prompt_states is not None, "the registry asks for states"
    assert sketch.prompt_means is not None, "the registry asks for states"
    return PromptRegression(prompt_inputs(sketch.prompt_states, sketch.prompt_means))


@once_per_sketch
def loss_residual(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """How much larger a response's loss is than its prompt lets expect: leave-one-out residual of a ridge regression
    on the prompt's states, of the loss, its root or its logarithm, `(n_samples,)`; no paper.
    """
    return even_residuals(_regression(sketch), np.asarray(sketch.losses, np.float64))


def end_residual(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """How much larger the log of the last token's loss is than the prompt lets expect: leave-one-out residual of a
    ridge regression on the prompt's states, `(n_samples,)`; no paper.

    High where a response breaks off.
    """
    return _of_logarithm(sketch, sketch.end_losses)


@once_per_sketch
def response_residual(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """How far a response's mean last state is from what its prompt lets expect: log length of the leave-one-out
    residual of a ridge regression on the prompt's states, less what such prompts have of it, `(n_samples,)`; no paper.
    """
    assert sketch.response_means is not None, "the registry asks for states"
    return _of_logarithm(sketch, _regression(sketch).residual_norms(sketch.response_means))


@once_per_sketch
def gradient_residual(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """How far the direction of a row's gradient is from what its prompt lets expect: log length of the leave-one-out
    residual of the unit gradient, less what such prompts have of it, `(n_samples,)`; no paper.
    """
    return _of_logarithm(sketch, _regression(sketch).residual_norms(sketch.sketch, unit=True))


def new_token_residual(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """How many more of a response's tokens are not in its prompt than such prompts let expect: leave-one-out residual
    of their share, `(n_samples,)`; no paper.
    """
    return _regression(sketch).residuals(np.asarray(sketch.new_token_shares, np.float64))


def length_residual(sketch: GradientSketch, *, seed: int = 0) -> Values:
    """How far the log of a response's length is from what its prompt lets expect, `(n_samples,)`; no paper.

    From the median of the misses: most rows have the length that is expected, and bad ones shift the mean alone.
    """
    misses = _of_logarithm(sketch, sketch.response_lengths)
    return np.abs(misses - np.median(misses))


PARTS: dict[str, Callable[..., Values]] = {
    "loss": loss_residual,
    "end": end_residual,
    "response": response_residual,
    "new tokens": new_token_residual,
    "length": length_residual,
}
"""What the default score asks of a row. The gradient is not among them: in none of the conditions of
`tests/benchmarks/language/responses.py` did it raise the average precision."""
LARGEST = 5.0
"""A residual of more spreads than this counts as so many: it is out of the ordinary in any case, and one part alone
must not outweigh four."""


def unusual_response(sketch: GradientSketch, checkpoints: Sequence[GradientSketch] = ()) -> Values:
    """How unusual a response is, given its prompt: the sum of the squares of the residuals in `PARTS` above their
    median, in units of their spread, `(n_samples,)`, 0 or more; no paper.

    A part whose residuals are spread as those of a normal distribution adds little, so that a part counts for more the
    further a few rows stand out in it. Where the model has learnt its rows by heart, losses are the mean over
    checkpoints, if there are any.
    """
    parts = {name: part(sketch, seed=0) for name, part in PARTS.items()}
    if checkpoints and learnt_by_heart(sketch):
        parts["loss"] = even_residuals(_regression(sketch), np.mean([each.losses for each in checkpoints], axis=0))
    total: Values = np.sum([np.square(standing_out(part)) for part in parts.values()], axis=0)
    return total


def standing_out(values: Values) -> Values:
    """How many spreads each value is above the median, `(n_samples,)`, 0 to `LARGEST`.

    The spread is the median absolute deviation, or the distance of the upper tenth where that is more, each scaled to
    the standard deviation of normal values. Rousseeuw and Croux 1993.
    """
    above = values - np.median(values)
    middle = NORMAL_DEVIATION * float(np.median(np.abs(above)))
    tail = float(np.quantile(above, 1 - TAIL)) / TAIL_DEVIATIONS
    return np.clip(above / max(middle, tail, ROUNDING), 0, LARGEST)


def share_below(values: Values) -> Values:
    """The share of the rows with a smaller value, `(n_samples,)`, 0 to below 1; ties share their mean rank."""
    from scipy.stats import rankdata

    shares: Values = (rankdata(values) - 1) / len(values)
    return shares


def learnt_by_heart(sketch: GradientSketch) -> bool:
    """Whether the model has learnt the responses by heart, wrong ones too."""
    return len(sketch) > 0 and float(np.mean(sketch.losses)) < MEMORISED


def _of_logarithm(sketch: GradientSketch, values: Floats | None) -> Values:
    return _regression(sketch).residuals(np.log(np.maximum(np.asarray(values, np.float64), LEAST)))
