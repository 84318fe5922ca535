"""Writes any `nn.Module` as a self-contained `.pt2` file, with its model card inside."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.files import remove_leftovers, temporary_folder
from oga_core.models.card import ModelCard
from oga_core.models.huggingface.lengths import max_length
from oga_core.models.packaging.example_inputs import Example, ExampleInputs
from oga_core.models.pt2.reader import read_pt2
from oga_core.models.tokenizer import tokenizer_entries
from oga_core.samples import Modality

_TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
_HALF_TOLERANCE = {"rtol": 5e-2, "atol": 5e-2}


def package_model(
    model: nn.Module,
    example: Example,
    path: Path | str,
    *,
    classes: Sequence[str],
    modality: Modality = "image",
    input: Mapping[str, Any] | None = None,
    tokenizer: Any | None = None,
) -> Path:
    """Export a model in eval mode to `path` (a `.pt2` file) and check that it reads back with the same outputs.

    example: one batch of inputs: a tensor, a tuple of tensors in the order of `forward`, or a dict of them by name.
        Only shapes, dtypes and the range of integers are used, no value is stored. `labels` in a dict is left out.
    classes: names in the order of the logits; for a causal language model an empty list.
    input: how inputs are prepared, as in the model card (image_size, channels, mean, std; max_length; features).
        For images image_size and channels are taken from the example if they are not given, for text and language
        models max_length from the tokenizer.
    tokenizer: for text and language models the tokenizer of transformers that goes with them, packed into the file.
    The batch size stays open, and so does the length of tokens. Returns the path. The model keeps its mode and weights.
    Raises `OgaError` where the model cannot be exported, saying what to change in it.
    """
    if _torch_version() < (2, 9):
        raise OgaError(f"package_model needs torch 2.9 or newer, this is {torch.__version__}. pip install -U torch")
    path = Path(path)
    if path.suffix != ".pt2":
        raise OgaError(f"The path must end in .pt2, got {path.name!r}.")
    if not path.parent.is_dir():
        raise OgaError(f"There is no folder {path.parent}. Make it first.")
    model = _unwrapped(model)
    tokens = modality in ("text", "causal_lm")
    inputs = replace(ExampleInputs.of(example, model), free_length=tokens)
    card = _card(classes, modality, _prepared(input or {}, modality, model, inputs, tokenizer))
    extra = {"oga.json": card.to_json()} | (tokenizer_entries(tokenizer) if tokens and tokenizer is not None else {})
    with _eval_mode(model), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        _try(model, inputs)
        program, inputs = _export(model, inputs)
        _strip(program)
        # Beside its place, so that the last step is a rename: the file is there whole or not at all.
        remove_leftovers(path.parent, path.name)
        with temporary_folder(path) as folder:
            draft = folder / path.name
            with _quiet():
                torch.export.save(program, draft, extra_files=extra)
            _verify(model, inputs, draft, card)
            os.replace(draft, path)
    return path


def _torch_version() -> tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def _unwrapped(model: nn.Module) -> nn.Module:
    """Take off the wrappers of torch.compile and of data parallelism."""
    while isinstance(inner := getattr(model, "_orig_mod", None), nn.Module) or (
        isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel))
        and (inner := model.module) is not None
    ):
        model = inner
    return model


def _card(classes: Sequence[str], modality: Modality, prepared: Mapping[str, Any]) -> ModelCard:
    if isinstance(classes, str):
        raise OgaError(f"'classes' must be a list of names, got the text {classes!r}.")
    card = ModelCard(modality, tuple(map(str, classes)), {name: _plain(value) for name, value in prepared.items()})
    return ModelCard.from_json(card.to_json(), "that was given")


def _prepared(
    given: Mapping[str, Any], modality: Modality, model: nn.Module, inputs: ExampleInputs, tokenizer: Any
) -> dict[str, Any]:
    """Return the card's input: what was given, and what example and tokenizer tell."""
    found: dict[str, Any] = {}
    if modality == "image" and inputs.tensors[0].dim() == 4:
        _, channels, height, width = inputs.tensors[0].shape
        found = {"image_size": [height, width], "channels": channels}
    if modality in ("text", "causal_lm") and tokenizer is not None:
        found = {"max_length": max_length(getattr(model, "config", None), tokenizer, modality)}
    return found | dict(given)


def _plain(value: Any) -> Any:
    """Turn arrays and tuples into lists, which JSON can hold."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode, nothing compiled, no key-value cache, attention by the path with gradients; then all is as before."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    fast = torch.backends.mha.get_fastpath_enabled()
    config: Any = getattr(model, "config", None)
    caches = getattr(config, "use_cache", None) is True
    if caches:
        config.use_cache = False
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        if caches:
            config.use_cache = True
        for module, mode in modes:
            module.training = mode
        for buffer, kept in buffers:
            buffer.copy_(kept)


def _try(model: nn.Module, inputs: ExampleInputs) -> None:
    """Run the model on random inputs, as many as in the example, then other batch sizes."""
    given = inputs.tensors[0].shape[0]
    for batch in (given, 2, 3):
        args, kwargs = inputs.random(batch).call
        try:
            with torch.no_grad():
                logits = _logits(model(*args, **kwargs))
        except OgaError:
            raise
        except Exception as error:  # whatever the user's own code raises
            reason = _first_lines(str(error)) or type(error).__name__
            if batch == given:
                raise OgaError(f"The model does not run on inputs like the example: {reason}") from error
            raise OgaError(
                f"The model runs on a batch of {given} but not on {batch}: {reason} Use x.shape[0] or -1 instead of a "
                "fixed batch size in view and reshape."
            ) from error
        if logits.shape[0] != batch:
            raise OgaError(f"The model gives {logits.shape[0]} rows of logits for {batch} samples, not one each.")


def _export(model: nn.Module, inputs: ExampleInputs) -> tuple[torch.export.ExportedProgram, ExampleInputs]:
    try:
        return _exported(model, inputs), inputs
    except Exception as error:  # torch.export raises errors of many kinds, all about the model
        if not inputs.free_length or inputs.length is None:
            raise _export_error(model, error) from error
        failure = error
    fixed = replace(inputs, free_length=False)
    try:
        program = _exported(model, fixed)
    except Exception:
        raise _export_error(model, failure) from failure
    warnings.warn(
        f"This model cannot be exported for texts of any length, so it takes exactly {inputs.length} tokens: texts "
        "must be cut and padded to that. Recurrent layers (LSTM, GRU) are the usual reason.",
        stacklevel=3,
    )
    return program, fixed


def _exported(model: nn.Module, inputs: ExampleInputs) -> torch.export.ExportedProgram:
    # A batch of 1 would be taken for a constant. Random values, because the file keeps its example.
    args, kwargs = inputs.random(2).call
    with _quiet():
        return torch.export.export(model, args, kwargs, dynamic_shapes=inputs.shapes(model), strict=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from printing graphs and tracebacks; its error comes back as one message."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _export_error(model: nn.Module, error: Exception) -> OgaError:
    text = str(error)
    known = text.lower()
    recurrent = sorted({type(module).__name__ for module in model.modules() if isinstance(module, nn.RNNBase)})
    if "data-dependent" in known or "data dependent" in known:
        advice = (
            "Its forward decides in Python by the values of a tensor (an if, a loop, .item(), boolean indexing). Use "
            "torch.where or torch.masked_fill instead, so that the same steps run for every input."
        )
    elif "speciali" in known or "constraint" in known or "constant" in known:
        advice = (
            "Its forward works for one batch size only: a fixed number in view or reshape, or a Python loop over the "
            "batch. Use x.shape[0] or -1 instead of the number, and tensor operations instead of the loop."
        )
    elif recurrent:
        advice = f"{', '.join(recurrent)} cannot be exported with these inputs."
    else:
        advice = "Check that model(example) runs; if it does, simplify the step that is named."
    return OgaError(
        f"torch.export cannot export this {type(model).__name__}. {advice} Or bring the model's outputs (logits and "
        f"features) instead of the model. torch says: {_first_lines(text) or type(error).__name__}"
    )


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:400]


def _strip(program: torch.export.ExportedProgram) -> None:
    """Remove stack traces, which hold the paths of the user's files."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)


def _verify(model: nn.Module, inputs: ExampleInputs, path: Path, card: ModelCard) -> None:
    """Read the file back and compare outputs at two batch sizes, and at another length where it is open."""
    module, _ = read_pt2(path)
    module.to(inputs.tensors[0].device)
    half = any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in model.parameters())
    other = max(inputs.length - 1, 2) if inputs.length is not None and inputs.free_length else None
    with torch.no_grad():
        for batch, length in ((2, None), (3, other)):
            args, kwargs = inputs.random(batch, length).call
            expected, again = _logits(model(*args, **kwargs)), _logits(model(*args, **kwargs))
            if not torch.allclose(expected, again, **_TOLERANCE, equal_nan=True):
                raise OgaError("The model gives other outputs each time, even in eval mode. Take out what is random.")
            found = module(*args, **kwargs)
            _compare(expected.to(found.dtype), found, _HALF_TOLERANCE if half else _TOLERANCE)
    if card.modality != "causal_lm" and found.shape[-1] != len(card.classes):
        raise OgaError(
            f"The model gives {found.shape[-1]} logits, but {len(card.classes)} classes are named. "
            "Give one name for each logit, in their order."
        )


def _compare(expected: Tensor, found: Tensor, tolerance: Mapping[str, float]) -> None:
    if expected.shape != found.shape:
        raise OgaError(
            f"The exported model gives logits of shape {tuple(found.shape)}, the model {tuple(expected.shape)}: its "
            "forward works for one batch size only. Use x.shape[0] instead of a number."
        )
    if not torch.allclose(expected, found, **tolerance, equal_nan=True):
        gap = (expected - found).abs().max().item()
        raise OgaError(
            f"The exported model differs from the model by {gap:.2g}. Its forward depends on something that is not in "
            "the graph (a counter, a cache, the batch size). Make it depend on its inputs only."
        )


def _logits(output: Any) -> Tensor:
    """Return the logits of what a model gives, by the rule of `read_pt2`."""
    if isinstance(output, Tensor):
        return output
    named = getattr(output, "logits", None)
    if named is None and isinstance(output, Mapping):
        named = output.get("logits")
    if isinstance(named, Tensor):
        return named
    values = list(output.values()) if isinstance(output, Mapping) else list(output)
    tensors = [value for value in values if isinstance(value, Tensor) and value.is_floating_point()]
    for rank in (2, 3):
        for value in tensors:
            if value.dim() == rank:
                return value
    raise OgaError("The model must return logits of shape (batch, classes) or (batch, time, vocabulary).")
