"""Outputs of a model while it is packaged: that it runs, and that the file gives the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.packaging.example_inputs import ExampleInputs
from oga_core.models.packaging.logits import Chosen, logits_of
from oga_core.samples import OWN

_TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
_HALF_TOLERANCE = {"rtol": 5e-2, "atol": 5e-2}
_LINES = 3  # of another library's error, which often says the reason in the second


def try_model(model: nn.Module, inputs: ExampleInputs, output: Chosen = None) -> None:
    """Run the model on random inputs, as many as in the example, then other batch sizes."""
    example = inputs.tensors[0].shape[0]
    for batch in (example, 2, 3):
        args, kwargs = inputs.random(batch).call
        try:
            with torch.no_grad():
                logits = logits_of(model(*args, **kwargs), output)
        except OgaError:
            raise
        except Exception as error:  # whatever the user's own code raises
            reason = first_lines(str(error)) or type(error).__name__
            if batch == example:
                raise OgaError(f"The model does not run on inputs like the example: {reason}") from error
            raise OgaError(
                f"The model runs on a batch of {example} but not on {batch}: {reason} Use x.shape[0] or -1 instead of "
                "a fixed batch size in view and reshape."
            ) from error
        if logits.shape[0] != batch:
            raise OgaError(f"The model gives {logits.shape[0]} rows of logits for {batch} samples, not one each.")


def first_lines(text: str) -> str:
    """Return the first lines of an error as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:_LINES])[:400]


def compare_outputs(model: nn.Module, module: nn.Module, inputs: ExampleInputs, card: ModelCard) -> None:
    """Compare the file's outputs with the model's at two batch sizes, and at another length where it is open.

    Raises `OgaError` where they differ, and where there is not one output for each class.
    """
    half = any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in model.parameters())
    other = max(inputs.length - 1, 2) if inputs.length is not None and inputs.free_length else None
    with torch.no_grad():
        for batch, length in ((2, None), (3, other)):
            args, kwargs = inputs.random(batch, length).call
            expected = logits_of(model(*args, **kwargs), card.output)
            again = logits_of(model(*args, **kwargs), card.output)
            if not torch.allclose(expected, again, **_TOLERANCE, equal_nan=True):
                raise OgaError("The model gives other outputs each time, even in eval mode. Take out what is random.")
            outputs = module(*args, **kwargs)
            _compare(expected.to(outputs.dtype), outputs, _HALF_TOLERANCE if half else _TOLERANCE)
    if card.loss["name"] == OWN:
        return  # which takes what the model gives
    if card.target == "number":
        if outputs.shape[1:] not in ((), (1,)):
            raise OgaError(
                f"The model gives outputs of shape {tuple(outputs.shape)}, and its loss compares one number a sample. "
                "Give a model with one output, or name another loss."
            )
    elif card.target == "mask" and outputs.dim() != 4:
        raise OgaError(
            f"The model gives outputs of shape {tuple(outputs.shape)}, and its loss compares a class for every pixel. "
            "Return logits of shape (batch, classes, height, width)."
        )
    elif card.modality != "causal_lm" and outputs.shape[1:] in ((), (1,)) and len(card.classes) == 2:
        raise OgaError(
            "The model gives one number a sample for two classes. Give a logit for each, which has the same loss: "
            "torch.cat([torch.zeros_like(z), z], 1) for a logit z of shape (batch, 1). Where the model ends in a "
            "sigmoid, z is what goes into it."
        )
    elif card.modality != "causal_lm" and (n_logits := outputs.shape[_axis(card)]) != len(card.classes):
        raise OgaError(
            f"The model gives {n_logits} logits, but {len(card.classes)} classes are named. "
            "Give one name for each logit, in their order."
        )


def _axis(card: ModelCard) -> int:
    """Where among the outputs' axes the classes are."""
    return 1 if card.target == "mask" else -1


def _compare(expected: Tensor, outputs: Tensor, tolerance: Mapping[str, float]) -> None:
    if expected.shape != outputs.shape:
        raise OgaError(
            f"The exported model gives logits of shape {tuple(outputs.shape)}, the model {tuple(expected.shape)}: its "
            "forward works for one batch size only. Use x.shape[0] instead of a number."
        )
    if not torch.allclose(expected, outputs, **tolerance, equal_nan=True):
        gap = (expected - outputs).abs().max().item()
        raise OgaError(
            f"The exported model differs from the model by {gap:.2g}. Its forward depends on something that is not in "
            "the graph (a counter, a cache, the batch size). Make it depend on its inputs only."
        )
