"""Writes any `nn.Module` as a self-contained `.pt2` file, with its model card inside."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.files import remove_leftovers, temporary_folder
from oga_core.models.card import ModelCard
from oga_core.models.huggingface.lengths import max_length
from oga_core.models.packaging.example_inputs import Example, ExampleInputs, check_columns
from oga_core.models.packaging.explanations import check_parameters
from oga_core.models.packaging.export import export
from oga_core.models.packaging.gradients import ENTRY, compare_gradients, gradients_in_memory, unreached
from oga_core.models.packaging.graphs import Program
from oga_core.models.packaging.logits import Chosen, logits_of
from oga_core.models.packaging.loss_graph import export_loss, own_entry, target_example
from oga_core.models.packaging.loss_record import ENTRY as LOSS_ENTRY
from oga_core.models.packaging.loss_record import LossRecord
from oga_core.models.packaging.losses import GivenLoss, loss_entry
from oga_core.models.packaging.modes import eval_mode, unused_copy, unwrapped
from oga_core.models.packaging.outputs import compare_outputs, try_model
from oga_core.models.pt2.reader import LOSS
from oga_core.models.tokenizer import tokenizer_entries
from oga_core.samples import OWN, Modality


def package_model(
    model: nn.Module,
    example: Example,
    path: Path | str,
    *,
    classes: Sequence[str] = (),
    modality: Modality = "image",
    input: Mapping[str, Any] | None = None,
    tokenizer: Any | None = None,
    loss: GivenLoss | None = None,
    target: Any = None,
    output: Chosen = None,
) -> Path:
    """Export a model in eval mode to `path` (a `.pt2` file) and check that it reads back with the same outputs.

    example: one batch of inputs: a tensor, a tuple of tensors in the order of `forward`, or a dict of them by name.
        Only shapes, dtypes and the range of integers are used, no value is stored. `labels` in a dict is left out.
    classes: names in the order of the logits; none for a causal language model and for a model of numbers.
    input: how inputs are prepared, as in the model card (image_size, channels, mean, std; max_length; features). Of a
        model with several inputs features are {input: [columns]}, and beside an image
        {"columns": {"features": {"meta": ["age", "sex"]}, "categories": {"sex": ["f", "m"]}}}.
        For images image_size and channels are taken from the example if they are not given, for text and language
        models max_length from the tokenizer.
    tokenizer: for text and language models the tokenizer of transformers that goes with them, packed into the file.
    loss: what the model was trained to make small, cross-entropy by default: the loss of torch (nn.HuberLoss(delta=2)),
        a name (cross_entropy, binary_cross_entropy, token_cross_entropy, pixel_cross_entropy, mean_squared_error,
        mean_absolute_error, huber), or the name with its settings:
        {"name": "mean_squared_error", "mean": 152.1, "std": 77.0} for a model that gives (number - mean) / std.
        Or any function or module of (outputs, target): it becomes a second graph in the file, sees each sample as a
        batch of one, and returns its loss as one number (what a mean over the batch is then too).
    target: for a function, what it is given beside the outputs, for one batch: integers `(batch,)` are class indices,
        floats `(batch,)` numbers, `(batch, n_classes)` flags of several labels, `(batch, size)` other vectors. Class
        indices where it is left out and classes are named, else numbers.
    output: which of several outputs the loss takes: its key, or its position counted from 0. Left out: the one called
        logits, else the first floating-point tensor of two dimensions, else of three, else of one.
    The batch size stays open, and so does the length of tokens. Returns the path. The model keeps its mode and weights.
    The parameters' gradients are compared too, on a few samples; a warning names parameters that no gradient reaches.
    Raises `OgaError` where the model cannot be exported, saying what to change in it.
    """
    if _torch_version() < (2, 9):
        raise OgaError(f"package_model needs torch 2.9 or newer, this is {torch.__version__}. pip install -U torch")
    path = Path(path)
    if path.suffix != ".pt2":
        raise OgaError(f"The path must end in .pt2, got {path.name!r}.")
    if not path.parent.is_dir():
        raise OgaError(f"There is no folder {path.parent}. Make it first.")
    model = unwrapped(model)
    check_parameters(model)
    tokens = modality in ("text", "causal_lm")
    inputs = replace(ExampleInputs.of(example, model), free_length=tokens)
    entry = loss_entry(loss)
    targets = target_example(target, len(classes))
    entry = own_entry(loss, targets, len(classes)) if entry is None else entry
    card = _card(classes, modality, _prepared(input or {}, modality, model, inputs, tokenizer), entry, output)
    check_columns(inputs, card)
    extra = {"oga.json": card.to_json()} | (tokenizer_entries(tokenizer) if tokens and tokenizer is not None else {})
    with eval_mode(model), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        reference = unused_copy(model)  # before the model runs and fills what it keeps
        unused = unused_copy(model)
        try_model(model, inputs, output)
        exact, record = gradients_in_memory(reference, inputs, output)
        # Beside its place, so that the last step is a rename: the file is there whole or not at all.
        remove_leftovers(path.parent, path.name)
        with temporary_folder(path) as folder:
            draft = folder / path.name
            extra |= {ENTRY: record.to_json()}
            beside = {}
            if entry["name"] == OWN:
                beside[LOSS], kept = _loss(loss, model, inputs, targets, folder, output)
                extra |= {LOSS_ENTRY: kept.to_json()} if kept else {}
            module, inputs = export(lambda: unused_copy(unused), inputs, draft, extra, beside)
            module.to(inputs.tensors[0].device)
            compare_outputs(model, module, inputs, card)
            compare_gradients(exact, record, module)
            os.replace(draft, path)
    for note in unreached(record):
        warnings.warn(note, stacklevel=2)
    return path


def _loss(
    loss: Any, model: nn.Module, inputs: ExampleInputs, target: Tensor, folder: Path, output: Chosen
) -> tuple[Program, LossRecord | None]:
    """The graph of a loss of one's own, and what it gives."""
    args, kwargs = inputs.random(len(target)).call
    with torch.no_grad():
        outputs = logits_of(model(*args, **kwargs), output)
    return export_loss(loss, outputs, target, folder / "loss.pt2")


def _torch_version() -> tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def _card(
    classes: Sequence[str],
    modality: Modality,
    prepared: Mapping[str, Any],
    loss: Mapping[str, Any],
    output: Chosen,
) -> ModelCard:
    if isinstance(classes, str):
        raise OgaError(f"'classes' must be a list of names, got the text {classes!r}.")
    settings = _plain_values(prepared)
    card = ModelCard(modality, tuple(map(str, classes)), settings, loss=_plain_values(loss), output=output)
    return ModelCard.from_json(card.to_json(), "that was given")


def _prepared(
    card_input: Mapping[str, Any], modality: Modality, model: nn.Module, inputs: ExampleInputs, tokenizer: Any
) -> dict[str, Any]:
    """Return the card's input, and what example and tokenizer tell."""
    settings: dict[str, Any] = {}
    images = [(name, value) for name, value in zip(inputs.names, inputs.tensors, strict=True) if value.dim() == 4]
    if modality == "image" and images:
        name, (_, channels, height, width) = images[0][0], images[0][1].shape
        settings = {"image_size": [height, width], "channels": channels}
        settings |= {"image": name} if len(inputs.tensors) > 1 else {}
    if modality in ("text", "causal_lm") and tokenizer is not None:
        settings = {"max_length": max_length(getattr(model, "config", None), tokenizer, modality)}
    return settings | dict(card_input)


def _plain_values(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in settings.items()}


def _plain(value: Any) -> Any:
    """Turn arrays and tuples into lists, which JSON can hold."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
