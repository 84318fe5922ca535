"""Generalised influence: only some neurons of chosen layers answer, in the way that best answers the whole gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError, unknown
from oga_core.live.losses import BATCH_SIZE, LiveLosses
from oga_core.numerics import Array

SHARE = 0.1
"""Of a layer's neurons."""
DAMPING = 1e-3
"""Of the mean of (H²)_JJ along its diagonal: neurons that no sample uses have no curvature."""
TOLERANCE, MOST_STEPS = 1e-6, 200
"""Of conjugate gradients."""
Measure = Literal["output", "gradient"]


def generalized_influence(
    model: nn.Module,
    dataset: Any,
    queries: Any,
    *,
    layers: Sequence[str],
    by: Measure = "gradient",
    share: float = SHARE,
    damping: float = DAMPING,
    loss: Any = F.cross_entropy,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Array:
    """Return the influence of every sample on the mean loss of the queries, through some neurons J: -v_Jᵀ x_i.

    `(n_samples,)`, positive where weighing the sample up raises that loss. (H²)_JJ x_i = (H g_i)_J, with H the Hessian
    of the mean training loss in all parameters and g_i the sample's gradient; v is the gradient of the queries.
    layers: names of modules with weights, such as "2" or "encoder.layer.5.output.dense". by: the share of each one's
    output neurons with the largest mean output, or gradient of the loss there, over the queries; with all their
    weights. damping: of the mean diagonal; 0 solves the equation as it stands, which needs curvature along all of J.
    dataset, queries, loss: as in `per_sample_gradients`. Lyu et al. 2024, arXiv 2312.05586.
    """
    losses = LiveLosses.of(model, dataset, loss, collate_fn, batch_size)
    asked = LiveLosses.of(model, queries, loss, collate_fn, batch_size)
    masks = chosen_parameters(asked, layers, by, share)
    space = _Space(losses, masks)
    target = space.taken(asked.under(losses.model).mean_gradient())
    return -losses.slopes(losses.hessian_product(space.given(space.solved(target, damping))))


def chosen_parameters(asked: LiveLosses, layers: Sequence[str], by: Measure, share: float) -> list[Tensor]:
    """Return which parameters move, a mask in the shape of each: the weights and biases of the chosen neurons.

    Raises `OgaError` for a layer that is not there or has no weights of its own.
    """
    modules = dict(asked.model.named_modules())
    if by not in ("output", "gradient"):
        raise unknown("measure of neurons:", by, ("output", "gradient"))
    if not layers or not 0 < share <= 1:
        raise OgaError(f"Give at least one layer and a share of its neurons above 0 and at most 1, got {share}.")
    for name in layers:
        if name not in modules:
            raise unknown("layer", name, [key for key, module in modules.items() if _weight(module) is not None])
        if _weight(modules[name]) is None:
            raise OgaError(f"The layer {name!r} has no weight of its own. Name one that has, such as a linear layer.")
    sizes = _sizes(asked, [modules[name] for name in layers], by)
    chosen = {}
    for name, size in zip(layers, sizes, strict=True):
        count = max(1, round(share * len(size)))
        neurons = np.argsort(-size, kind="stable")[:count]
        for parameter in modules[name].parameters(recurse=False):
            mask = torch.zeros_like(parameter, dtype=torch.bool)
            mask[torch.as_tensor(neurons, device=mask.device)] = True
            chosen[parameter] = mask
    return [chosen.get(each, torch.zeros_like(each, dtype=torch.bool)) for each in asked.parameters]


def _weight(module: nn.Module) -> nn.Parameter | None:
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, nn.Parameter) and weight.ndim > 1 else None


def _sizes(asked: LiveLosses, modules: Sequence[nn.Module], by: Measure) -> list[NDArray[np.float64]]:
    """The mean absolute output of every neuron of each module over the queries, or gradient there, `(n_neurons,)`."""
    outputs: dict[nn.Module, Tensor] = {}
    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(lambda at, _, value: outputs.update({at: value})).remove)
        losses = asked.at(range(len(asked)))
    values = [outputs[module] for module in modules]
    if by == "gradient":
        values = list(torch.autograd.grad(losses.sum(), values))
    sizes = []
    for module, value in zip(modules, values, strict=True):
        neurons = value.transpose(1, -1) if isinstance(module, nn.modules.conv._ConvNd) else value
        sizes.append(neurons.detach().abs().double().flatten(0, -2).mean(dim=0).cpu().numpy())
    return sizes


class _Space:
    """Directions that move only the chosen parameters, as vectors `(n_chosen,)`."""

    def __init__(self, losses: LiveLosses, masks: Sequence[Tensor]):
        self.losses = losses
        self.masks = masks
        self.size = int(sum(int(mask.sum()) for mask in masks))

    def taken(self, direction: Sequence[Tensor]) -> NDArray[np.float64]:
        """Return what a direction has in the chosen parameters."""
        parts = [part[mask] for part, mask in zip(direction, self.masks, strict=True)]
        return np.asarray(torch.cat(parts).double().cpu().numpy())

    def given(self, vector: NDArray[np.float64]) -> list[Tensor]:
        """Return the direction in all parameters that a vector is."""
        start = 0
        direction = []
        for parameter, mask in zip(self.losses.parameters, self.masks, strict=True):
            part = torch.zeros_like(parameter)
            count = int(mask.sum())
            part[mask] = torch.as_tensor(vector[start : start + count], dtype=part.dtype, device=part.device)
            direction.append(part)
            start += count
        return direction

    def product(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (H²)_JJ times a vector, by two Hessian products."""
        once = self.losses.hessian_product(self.given(vector))
        return self.taken(self.losses.hessian_product(once))

    def solved(self, target: NDArray[np.float64], damping: float) -> NDArray[np.float64]:
        """Return ((H²)_JJ + λI)⁻¹ target by conjugate gradients, λ from one random probe of the diagonal."""
        from scipy.sparse.linalg import LinearOperator, cg

        probe = np.random.default_rng(0).choice([-1.0, 1.0], self.size)
        added = damping * max(float(probe @ self.product(probe)) / self.size, 0.0) if damping else 0.0
        scale = max(float(np.linalg.norm(target)), 1e-30)

        def product(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            return self.product(vector) + added * vector

        operator = LinearOperator((self.size, self.size), matvec=product, dtype=np.float64)
        solution, _ = cg(operator, target / scale, rtol=TOLERANCE, maxiter=MOST_STEPS)
        return np.asarray(scale * solution)
