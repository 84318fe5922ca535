"""What other libraries need on a card for the gradients of one batch, where they are installed."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import torch
from cards.cases import Case, ResNet
from torch import nn

from oga_core.gradients.devices import precision_context
from oga_core.gradients.parameter_choice import choose_parameters


def rivals_of(case: Case, device: torch.device) -> dict[str, Callable[[], object]]:
    """Those that suit a case, by name."""
    suited: dict[str, Callable[[Case, torch.device], Callable[[], object]]] = {}
    if case.tokens:
        suited = {"bergson, 16 x 16": bergson}
    elif isinstance(case.model, ResNet):  # of other networks Opacus keeps activations, which fill a card
        suited = {"opacus": opacus}
    methods: dict[str, Callable[[], object]] = {}
    for name, rival in suited.items():
        with contextlib.suppress(ImportError):
            methods[name] = rival(case, device)
    return methods


def plain(case: Case, device: torch.device, precision: str) -> None:
    """A training step without the optimiser's part."""
    with precision_context(device, precision):
        losses = case.task.losses(case.task.outputs(case.model, case.batch), case.batch)
        with torch.autocast(device.type, enabled=False):  # the backward pass has the same products of float32, or TF32
            losses.sum().backward()
    for p in case.model.parameters():
        p.grad = None


def bergson(case: Case, device: torch.device) -> Callable[[], object]:
    """Projections to 16 x 16 a module, kept on the card."""
    from bergson.collector.gradient_collectors import TraceCollector
    from bergson.gradients import GradientProcessor

    parameters = choose_parameters(case.model, case.parameters)
    targets = {name.removesuffix(".weight") for name in parameters}
    collector = TraceCollector(
        model=case.model,
        target_modules=targets,
        processor=GradientProcessor(projection_dim=16),
        device=device,
        dtype=torch.bfloat16,
    )

    def run() -> None:
        with frozen(case.model), collector:
            plain(case, device, "float32")
        collector.mod_grads.clear()

    return run


def opacus(case: Case, device: torch.device) -> Callable[[], object]:
    """Whole gradients of every sample; batch norm, which it refuses, is left out."""
    from opacus import GradSampleModule

    model = copy.deepcopy(case.model)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.requires_grad_(False)
        module.training = any(p.requires_grad for p in module.parameters(recurse=False))
    wrapped = GradSampleModule(model, strict=False, loss_reduction="sum")

    def run() -> None:
        case.task.losses(case.task.outputs(wrapped, case.batch), case.batch).sum().backward()
        for p in model.parameters():
            p.grad = p.grad_sample = None

    return run


@contextlib.contextmanager
def frozen(model: nn.Module) -> Any:
    """No weight gradients, but a tape from the embedding on."""
    required = [p for p in model.parameters() if p.requires_grad]
    for p in required:
        p.requires_grad_(False)
    hook = next(m for m in model.modules() if isinstance(m, nn.Embedding)).register_forward_hook(
        lambda module, args, output: output.requires_grad_()
    )
    try:
        yield
    finally:
        hook.remove()
        for p in required:
            p.requires_grad_()
