"""The worker's part of saliency: one backward pass to the inputs a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.pipeline.checks import readable_batch
from oga_core.readers import read_samples
from oga_core.saliency.tokens import token_norms
from oga_core.samples import SampleSet
from oga_core.tasks import Batch, Task
from oga_core.tasks.prepare import prepare
from oga_core.tasks.task import TokenTask
from oga_core.worker.stages import Progress

_LARGEST_SIDE = 64
_EMBEDDINGS = {F.embedding, torch.ops.aten.embedding.default}


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return {"samples": {id: saliency}}; arguments: data, data_options, ids, model, model_card, parameters,
    trained_on.
    """
    card = arguments["model_card"]
    loaded = load_model(Path(arguments["model"]), ModelCard.from_json(card, "given") if card else None)
    samples, task = prepare(
        read_samples(Path(arguments["data"]), **arguments["data_options"]), loaded, arguments["trained_on"]
    )
    position = {sample_id: i for i, sample_id in enumerate(samples.ids)}
    maps = {}
    for done, sample_id in enumerate(arguments["ids"]):
        batch = readable_batch(task, samples, np.array([position[sample_id]], dtype=np.int64))
        if batch is not None:
            row = position[sample_id]
            maps[sample_id] = _explain(task, loaded.module, batch, samples, row, arguments["parameters"])
        progress({"stage": "saliency", "done": done + 1, "total": len(arguments["ids"])})
    return {"samples": {sample_id: content for sample_id, content in maps.items() if content}}


def _explain(
    task: Task, model: torch.nn.Module, batch: Batch, samples: SampleSet, row: int, parameters: str
) -> dict[str, Any]:
    if "images" in batch:
        pixels = _gradient_times(task, model, batch, "images").sum(dim=1, keepdim=True)
        side = max(pixels.shape[-2:])
        if side > _LARGEST_SIDE:
            pixels = F.interpolate(pixels, scale_factor=_LARGEST_SIDE / side, mode="area")
        return {"pixels": _scaled(pixels[0, 0]).tolist()}
    if isinstance(task, TokenTask) and batch["labels"].ndim == 2:
        return {"gradient_norms": token_norms(task, model, batch, parameters)}
    if "values" in batch:
        return {"columns": _columns(task, _scaled(_gradient_times(task, model, batch, "values")[0]))}
    return _spans(task, model, batch, samples.inputs[row])


def _gradient_times(task: Task, model: torch.nn.Module, batch: Batch, name: str) -> Tensor:
    inputs = batch[name].clone().requires_grad_(True)
    changed = {**batch, name: inputs}
    (gradient,) = torch.autograd.grad(task.losses(task.outputs(model, changed), changed).sum(), inputs)
    return gradient * inputs.detach()


class _FirstEmbedding(TorchFunctionMode):
    """Keeps the embeddings of the tokens, a leaf of the graph, so that their gradient can be taken."""

    def __init__(self, tokens: Tensor):
        super().__init__()
        self.tokens = tokens
        self.output = None

    output: Tensor | None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in _EMBEDDINGS and self.output is None and any(map(self._is_tokens, args)):
            self.output = output = output.detach().requires_grad_(True)
        return output

    def _is_tokens(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.shape == self.tokens.shape and torch.equal(value, self.tokens)


def _spans(task: Task, model: torch.nn.Module, batch: Batch, text: Any) -> dict[str, Any]:
    """Gradient × embedding by token: as spans of the text, of both texts of a pair, and its sum over all tokens."""
    tokenizer = getattr(task, "tokenizer", None)
    texts = [text] if isinstance(text, str) else list(text) if isinstance(text, (tuple, list)) else []
    if tokenizer is None or not tokenizer.is_fast or not texts:
        return {}
    with _FirstEmbedding(batch["input_ids"]) as first:
        losses = task.losses(task.outputs(model, batch), batch)
    if first.output is None:
        return {}
    (gradient,) = torch.autograd.grad(losses.sum(), first.output)
    products = (gradient * first.output.detach()).sum(dim=-1)[0]
    limit = getattr(task, "max_length", None)
    encoded = tokenizer(*texts, truncation=True, max_length=limit, return_offsets_mapping=True)
    spans: list[list[list[float]]] = [[] for _ in texts]
    inside = 0.0
    tokens = zip(encoded["offset_mapping"], encoded.sequence_ids(0), products, _scaled(products), strict=False)
    for (start, end), number, product, weight in tokens:
        if number is not None and end > start:
            spans[number].append([start, end, round(float(weight), 3)])
            inside += float(product)
    total, largest = float(products.sum()), float(products.abs().max())
    sums = {"sum": round(total, 5), "outside": round(total - inside, 5), "largest": round(largest, 5)}
    return {"spans": spans[0], **({"pair_spans": spans[1]} if len(spans) > 1 else {}), **sums}


def _columns(task: Any, weights: Tensor) -> dict[str, float]:
    """Weights of the inputs, those of one column's categories added up."""
    columns = {}
    position = 0
    for name in task.features:
        count = len(task.categories.get(name, (name,)))
        columns[name] = round(float(weights[position : position + count].sum()), 3)
        position += count
    return columns


def _scaled(values: Tensor) -> Tensor:
    return (values / values.abs().max().clamp_min(1e-12)).round(decimals=3)
