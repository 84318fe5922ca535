"""Influence on how differently groups of validation samples are served, on the head, with the identity as Hessian.

A group is any value of `groups`, `(n_validation,)`. Positive: a training step on the sample widens the gap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats, Indices
from oga_core.scores.estimators.curvature import Gradients, checked, gradients, head_gradients, mean_gradient

POSITIVE = 1
"""The class that is worth having, as in the authors' code: the second of two."""

Groups = NDArray[np.generic]


def tracin_fairness(
    sketch: GradientSketch, *, validation: GradientSketch, groups: Groups | None = None, seed: int = 0
) -> Floats:
    """Influence on the gap between the worst and the best group: -∇(L_worst - L_best)·g_i on the head, `(n_samples,)`.
    After Yang et al. 2024, arXiv 2405.17490, whose two groups are fixed (see `tracin_opportunity_gap`).

    L is the mean validation loss of a group; any number of groups, the given classes by default.
    """
    members = _members(validation, validation.given_labels if groups is None else groups)
    losses = [float(np.mean(validation.losses[rows])) for rows in members]
    worst, best = (validation.take(members[int(pick(losses))]) for pick in (np.argmax, np.argmin))
    return -gradients(sketch).dot(mean_gradient(sketch, worst) - mean_gradient(sketch, best))


def tracin_opportunity_gap(
    sketch: GradientSketch, *, validation: GradientSketch, groups: Groups, seed: int = 0
) -> Floats:
    """Influence on the gap in loss between two groups of the second class: -∇(L_0 - L_1)·g_i on the head. The equal
    opportunity of Yang et al. 2024, arXiv 2405.17490, as in the authors' code.

    `(n_samples,)`; L is the mean loss of a group's validation samples of class 1, group 0 the first of two values in
    order. The groups are fixed, so the gap has a sign.
    """
    first, second = (rows[validation.given_labels[rows] == POSITIVE] for rows in _two(validation, groups))
    if not len(first) or not len(second):
        raise OgaError("A group has no validation samples of the second class. Give some of it for both groups.")
    gap = mean_gradient(sketch, validation.take(first)) - mean_gradient(sketch, validation.take(second))
    return -gradients(sketch).dot(gap)


def tracin_parity_gap(sketch: GradientSketch, *, validation: GradientSketch, groups: Groups, seed: int = 0) -> Floats:
    """Influence on how much oftener group 1 than group 0 is taken for the second class: -∇(p̄_1 - p̄_0)·g_i on the head.
    The demographic parity of Yang et al. 2024, arXiv 2405.17490, as in the authors' code.

    `(n_samples,)`; p̄ is a group's mean probability of class 1, whatever its labels; the groups as in
    `tracin_opportunity_gap`.
    """
    p = validation.probabilities
    towards = p[:, POSITIVE, None] * (np.eye(p.shape[1], dtype=np.float32)[POSITIVE] - p)
    assert validation.features is not None, "the registry asks for features"
    slopes = checked(head_gradients(sketch), Gradients(towards, validation.features, bias=True))
    first, second = _two(validation, groups)
    return -gradients(sketch).dot(slopes.take(second).mean() - slopes.take(first).mean())


def _two(validation: GradientSketch, groups: Groups) -> list[Indices]:
    members = _members(validation, groups)
    if len(members) > 2:
        raise OgaError(f"There are {len(members)} groups. Give two, or use the score 'tracin_fairness'.")
    return members


def _members(validation: GradientSketch, groups: Any) -> list[Indices]:
    """Positions of the validation samples of every group, groups in order of their names."""
    groups = np.asarray(groups)
    if len(groups) != len(validation):
        raise OgaError(f"There are {len(groups)} groups for {len(validation)} validation samples. Give one group each.")
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    if len(members) < 2:
        raise OgaError("Fairness needs at least two groups in the validation data. Choose another group column.")
    return members
