"""What other libraries need for the gradients of one batch, ready to be timed by `gradients.py`.

Each works on its own copy of the model. What it prepares once for a whole data set (hooks, factors, a projection matrix
that it can keep) is not timed.

- opacus: the forward and backward pass that leaves the whole gradient of every sample in `grad_sample`. It refuses
  batch norm, which is therefore frozen and left out.
- kronfluence, self-influence: the pass that gives gᵀ H⁻¹ g of every sample, with the EK-FAC factors at hand.
- kronfluence, pairwise: the pass over a training batch that gives its influence on one query, whose preconditioned
  gradient is ready. Both cover linear and convolution layers only.
- trak: `TRAKer.featurize` with the projector for CPUs. Its matrix is drawn once where it fits in `MATRIX_BYTES`, else
  anew for every batch, by blocks of columns, which is then most of the cost. The model output is the loss, which spares
  TRAK the second forward pass of its own margin.
"""

from __future__ import annotations

import atexit
import copy
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters

if TYPE_CHECKING:
    from gradients import Case

MATRIX_BYTES = 2**31


@dataclass
class Rival:
    """What is timed, and the share of the chosen parameters whose gradients it takes into account."""

    run: Callable[[], object]
    coverage: float


def share(case: Case, covered: set[str]) -> float:
    """Parameters named in `covered`, among those chosen."""
    sizes = {name: p.numel() for name, p in choose_parameters(case.model, case.parameters).items()}
    return sum(size for name, size in sizes.items() if name in covered) / sum(sizes.values())


def opacus(case: Case) -> Rival:
    from opacus import GradSampleModule

    model = copy.deepcopy(case.model)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.requires_grad_(False)
        # Opacus looks at training layers only; dropout, which has no parameters, stays off.
        module.training = any(p.requires_grad for p in module.parameters(recurse=False))
    parameters = dict(model.named_parameters())
    wrapped = GradSampleModule(model, strict=False, loss_reduction="sum")

    def backward() -> None:
        case.task.losses(case.task.outputs(wrapped, case.batch), case.batch).sum().backward()

    def clear() -> None:
        for p in parameters.values():
            p.grad = p.grad_sample = None

    def run() -> None:
        backward()
        clear()

    backward()
    n = len(case.batch["labels"])
    by_parameter = {name: getattr(p, "grad_sample", None) for name, p in parameters.items()}
    # A position embedding, looked up once for the whole batch, gets one gradient for all samples.
    given = {name for name, gradients in by_parameter.items() if gradients is not None and len(gradients) == n}
    clear()
    return Rival(run, share(case, given))


def tracked_layers(case: Case) -> list[str]:
    """The linear and convolution layers whose parameters are chosen."""
    owners = {name.rpartition(".")[0] for name in choose_parameters(case.model, case.parameters)}
    return [name for name, m in case.model.named_modules() if name in owners and isinstance(m, nn.Linear | nn.Conv2d)]


def tracked(case: Case) -> nn.Module:
    """A copy of the model with kronfluence's layers, whose factors have the shapes of fitted ones, hence their cost.

    They are identities, so that a self-influence is the squared norm of the gradient.
    """
    from kronfluence.analyzer import prepare_model
    from kronfluence.module.tracked_module import TrackedModule
    from kronfluence.task import Task
    from kronfluence.utils import constants

    class TrackedLayers(Task):
        def get_influence_tracked_modules(self) -> list[str]:
            return tracked_layers(case)

        def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
            raise NotImplementedError

        compute_measurement = compute_train_loss

    model = prepare_model(copy.deepcopy(case.model), TrackedLayers())
    for layer in model.modules():
        if isinstance(layer, TrackedModule):
            weight, bias = layer.original_module.weight.flatten(1), layer.original_module.bias
            n_out, n_in = len(weight), weight.shape[1] + (bias is not None)
            layer.set_factor(constants.GRADIENT_EIGENVECTORS_NAME, torch.eye(n_out))
            layer.set_factor(constants.ACTIVATION_EIGENVECTORS_NAME, torch.eye(n_in))
            layer.set_factor(constants.LAMBDA_MATRIX_NAME, torch.ones(n_out, n_in))
            layer.set_factor(constants.NUM_LAMBDA_PROCESSED, torch.ones(1))
    return model


def kronfluence(case: Case, pairwise: bool) -> Rival:
    from kronfluence.module.tracked_module import ModuleMode, TrackedModule
    from kronfluence.module.utils import accumulate_iterations, prepare_modules, set_mode
    from kronfluence.utils.constants import PAIRWISE_SCORE_MATRIX_NAME, SELF_SCORE_VECTOR_NAME

    model, names = tracked(case), tracked_layers(case)
    layers = [module for module in model.modules() if isinstance(module, TrackedModule)]
    prepare_modules(model, names, torch.device("cpu"))

    def backward(rows: slice) -> None:
        batch = {name: value[rows] for name, value in case.batch.items()}
        model.zero_grad(set_to_none=True)
        case.task.losses(case.task.outputs(model, batch), batch).sum().backward()

    if pairwise:
        set_mode(model, ModuleMode.PRECONDITION_GRADIENT, names)
        backward(slice(1))
        accumulate_iterations(model, names)
    set_mode(model, ModuleMode.PAIRWISE_SCORE if pairwise else ModuleMode.SELF_SCORE, names)
    score = PAIRWISE_SCORE_MATRIX_NAME if pairwise else SELF_SCORE_VECTOR_NAME

    def run() -> Tensor:
        backward(slice(None))
        scores = torch.stack([layer.get_factor(score) for layer in layers]).sum(0)
        accumulate_iterations(model, names)
        return scores

    return Rival(run, share(case, {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}))


def trak(case: Case) -> Rival:
    from trak import TRAKer
    from trak.modelout_functions import AbstractModelOutput
    from trak.projectors import BasicProjector, ProjectionType

    class Loss(AbstractModelOutput):
        def __init__(self) -> None:
            pass

        def get_output(self, model: nn.Module, weights: Any, buffers: Any, *values: Tensor) -> Tensor:
            sample = {name: value[None] for name, value in zip(case.batch, values, strict=True)}

            def call(*args: Any, **kwargs: Any) -> Any:
                return torch.func.functional_call(model, (weights, buffers), args, kwargs)

            return case.task.losses(case.task.outputs(call, sample), sample).sum()

        def get_out_to_loss_grad(self, model: nn.Module, weights: Any, buffers: Any, batch: list[Tensor]) -> Tensor:
            return torch.ones(len(batch[0]), 1)

    n, selection = len(case.batch["labels"]), choose_parameters(case.model, case.parameters)
    size = sum(p.numel() for p in selection.values())
    dimension = min(PassOptions().sketch_dim, size)
    columns = min(dimension, MATRIX_BYTES // (4 * size))
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    projector = BasicProjector(size, dimension, 0, ProjectionType.normal, "cpu", block_size=columns)
    traker = TRAKer(
        copy.deepcopy(case.model),
        Loss(),
        train_set_size=n,
        save_dir=folder,
        device="cpu",
        projector=projector,
        use_half_precision=False,
        grad_wrt=list(selection),
        logging_level=logging.ERROR,
    )
    traker.load_checkpoint(traker.model.state_dict(), model_id=0)

    def run() -> None:
        traker.saver.current_store["is_featurized"][:] = 0  # it would skip what it has seen
        traker.featurize(list(case.batch.values()), inds=torch.arange(n).numpy())

    return Rival(run, 1.0)


RIVALS: dict[str, Callable[[Case], Rival]] = {
    "opacus": opacus,
    "kronfluence, self-influence": partial(kronfluence, pairwise=False),
    "kronfluence, pairwise": partial(kronfluence, pairwise=True),
    "trak": trak,
}
