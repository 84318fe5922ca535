"""Training again: a softmax regression on frozen features, or the whole network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from oga_core.gradients.batches import batches, to_device
from oga_core.gradients.forward import outputs_of, suits_late_head
from oga_core.samples import SampleSet
from oga_core.tasks.losses import UNCOUNTED
from oga_core.tasks.task import Batch, Task

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_STEPS = 1500


MeanLoss = Callable[[Tensor, Tensor], Tensor]


def fit_head(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    penalty: float,
    max_steps: int = 200,
    loss: MeanLoss = nn.functional.cross_entropy,
) -> Tensor:
    """Softmax regression by L-BFGS: argmin of mean cross-entropy + penalty / 2 · ‖W‖², `(n_classes, n_features + 1)`.

    The bias is the last column and goes unpenalised. Features should be standardised. loss: another mean over samples,
    of outputs and labels.
    """
    head = torch.zeros(n_classes, features.shape[1] + 1, dtype=features.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([head], max_iter=max_steps, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = loss(head_logits(features, head), labels) + penalty / 2 * head[:, :-1].square().sum()
        total.backward()
        return total

    optimizer.step(closure)
    return head.detach()


def head_logits(features: Tensor, head: Tensor) -> Tensor:
    """Logits of a head from `fit_head`, `(n_samples, n_classes)`."""
    return nn.functional.linear(features, head[:, :-1], head[:, -1])


def choose_penalty(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    inner: NDArray[np.int64],
    loss: MeanLoss = nn.functional.cross_entropy,
) -> float:
    """Return the penalty whose head, trained without the rows `inner`, has the lowest loss on their labels."""
    held = torch.zeros(len(labels), dtype=torch.bool)
    held[torch.from_numpy(inner)] = True

    def inner_loss(penalty: float) -> float:
        head = fit_head(features[~held], labels[~held], n_classes, penalty, loss=loss)
        return float(loss(head_logits(features[held], head), labels[held]))

    return min(PENALTIES, key=inner_loss)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW, the learning rate rising for a tenth of the steps and then falling to zero.

    reinitialise: start from random weights instead of the given ones. adapters: train what the model trains, and no
    other parameters, from new adapters where it has any.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    reinitialise: bool
    weight_decay: float = 0.01
    adapters: bool = False

    @property
    def described(self) -> dict[str, Any]:
        """How it trains, for the record."""
        start = "random weights" if self.reinitialise else "the scored model's weights"
        return {"start": start, "epochs": self.epochs, "learning_rate": self.learning_rate}


def recipe_for(modality: str, n_samples: int) -> Recipe:
    """Images and tables from random weights; texts fine-tune the given ones, which hold the language.

    A language model trains new adapters on its base, at the rate that PEFT's guides use.
    """
    if modality == "causal_lm":
        return Recipe(epochs=3, learning_rate=1e-3, batch_size=8, reinitialise=False, weight_decay=0.0, adapters=True)
    if modality == "text":
        return Recipe(epochs=2, learning_rate=3e-5, batch_size=32, reinitialise=False)
    batch_size = 32 if n_samples < 5000 else 64
    fewest, most = (5, 200) if modality == "tabular" else (5, 40)
    epochs = int(np.clip(_STEPS * batch_size / n_samples, fewest, most))
    return Recipe(
        epochs=epochs, learning_rate=5e-3 if modality == "tabular" else 3e-3, batch_size=batch_size, reinitialise=True
    )


def train_network(
    model: nn.Module,
    task: Task,
    samples: SampleSet,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    without: NDArray[np.int64] | None = None,
    progress: Callable[[int], object] = lambda steps: None,
) -> None:
    """Train `model` in place on all of `samples`; `progress` is called with the number of samples of each step.

    without: positions whose loss counts for nothing, while order and steps stay as they are.

    Graphs that were exported in eval mode train too: batch norm uses the batch's statistics and keeps its running ones.
    """
    torch.manual_seed(seed)
    if recipe.reinitialise:
        reinitialise(model)
    if recipe.adapters:
        restart_adapters(model)
    real = [parameter for parameter in model.parameters() if parameter.is_floating_point()]
    parameters = [parameter.requires_grad_() for parameter in real if parameter.requires_grad or not recipe.adapters]
    rng = np.random.default_rng(seed)
    orders = [_parts(rng.permutation(len(samples)), recipe.batch_size) for _ in range(recipe.epochs)]
    parts = [part for order in orders for part in order]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rise_and_fall(step, len(parts)))
    counted = torch.ones(len(samples), device=device)
    counted[[] if without is None else without] = 0
    late_head: bool | None = None
    model.train()
    for loaded in batches(task, samples, parts):
        if loaded.batch is not None:
            batch = shifted(to_device(loaded.batch, device), rng)
            optimizer.zero_grad()
            if late_head is None:
                late_head = suits_late_head(task, model, parameters, batch)
            with _TrainingBatchNorm():
                losses = task.losses(outputs_of(task, model, batch, late_head=late_head), batch)
            (losses * counted[loaded.rows]).mean().backward()
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
        schedule.step()
        progress(len(loaded.rows))
    model.eval()


def _parts(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Batches of an epoch; a last batch of one sample, which batch norm cannot take, joins the one before."""
    n_parts = max(1, round(len(order) / size))
    return [part for part in np.array_split(order, n_parts) if len(part)]


def _rise_and_fall(step: int, total: int) -> float:
    rising = max(1, total // 10)
    return min((step + 1) / rising, max(total - step, 1) / max(total - rising, 1))


def shifted(batch: Batch, rng: np.random.Generator) -> Batch:
    """Move the images of a batch by up to a sixteenth of their size; never mirrored, which digits do not survive."""
    images = batch.get("images")
    if images is None:
        return batch
    labels = batch["labels"]
    height, width = images.shape[-2:]
    down, right = (int(rng.integers(-(size // 16), size // 16 + 1)) for size in (height, width))
    pad = (max(width // 16, 1), max(width // 16, 1), max(height // 16, 1), max(height // 16, 1))
    top = pad[2] + down
    left = pad[0] + right
    part = np.s_[..., top : top + height, left : left + width]
    images = nn.functional.pad(images, pad, mode="replicate")[part].contiguous()
    if labels.shape[1:] == (height, width):  # masks move with their images, and no class comes in at the edge
        labels = nn.functional.pad(labels, pad, value=UNCOUNTED)[part].contiguous()
    return {**batch, "images": images, "labels": labels}


@torch.no_grad()
def network_logits(
    model: nn.Module, task: Task, samples: SampleSet, *, device: torch.device, batch_size: int = 256
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits of all samples that can be read, `(n_readable, n_classes)`, and their positions."""
    logits = []
    rows = []
    parts = [np.arange(i, min(i + batch_size, len(samples))) for i in range(0, len(samples), batch_size)]
    for loaded in batches(task, samples, parts):
        if loaded.batch is not None:
            logits.append(task.outputs(model, to_device(loaded.batch, device)).float().cpu().numpy())
            rows.append(loaded.rows)
    return np.concatenate(logits), np.concatenate(rows)


class _TrainingBatchNorm(TorchFunctionMode):
    """Runs every batch norm on the statistics of its batch, also in graphs that were exported in eval mode."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.batch_norm:
            names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
            arguments = {**dict(zip(names, args, strict=False)), **(kwargs or {}), "training": True}
            return func(**arguments)
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def reinitialise(model: nn.Module) -> None:
    """Draw new random weights as PyTorch's layers do, from names and shapes alone, so that it works for any graph.

    Weights of two or more dimensions: uniform within ±1 / √fan_in, with √6 for what feeds a ReLU network well; their
    biases: zero; scales of norms: one; running statistics: zero and one.
    """
    for module in model.modules():
        tensors = dict(module._parameters) | dict(module._buffers)
        for name, tensor in tensors.items():
            if tensor is None or not tensor.is_floating_point():
                continue
            if name == "running_mean" or name.endswith("bias") or name == "b":
                tensor.zero_()
            elif name == "running_var":
                tensor.fill_(1)
            elif isinstance(tensor, nn.Parameter):
                nn.init.kaiming_uniform_(tensor, nonlinearity="relu") if tensor.ndim > 1 else tensor.fill_(1)


@torch.no_grad()
def restart_adapters(model: nn.Module) -> bool:
    """Give LoRA adapters the weights of before training, one side random and one zero; False where there are none."""
    adapters = {name: parameter for name, parameter in model.named_parameters() if "lora_" in name}
    for name, parameter in adapters.items():
        if "lora_A" in name:
            nn.init.kaiming_uniform_(parameter, a=5**0.5)
        elif "lora_embedding_B" in name:
            nn.init.normal_(parameter)
        elif "lora_B" in name or "lora_embedding_A" in name:
            parameter.zero_()
    return bool(adapters)


@torch.no_grad()
def network_losses(
    model: nn.Module, task: Task, samples: SampleSet, *, device: torch.device, batch_size: int = 32
) -> NDArray[np.float64]:
    """Loss of every sample that can be read, `(n_readable,)`."""
    parts = [np.arange(i, min(i + batch_size, len(samples))) for i in range(0, len(samples), batch_size)]
    losses = []
    late_head: bool | None = None
    for loaded in batches(task, samples, parts):
        if loaded.batch is not None:
            batch = to_device(loaded.batch, device)
            late_head = suits_late_head(task, model, (), batch) if late_head is None else late_head
            outputs = outputs_of(task, model, batch, late_head=late_head)
            losses.append(task.losses(outputs, batch).double().cpu().numpy())
    return np.concatenate(losses)


def labelled(samples: SampleSet, rows: NDArray[np.int64], labels: Iterable[int]) -> SampleSet:
    """Return the samples at `rows` with other labels to train on."""
    return replace(samples.take(rows), given_labels=np.fromiter(labels, dtype=np.int64))
