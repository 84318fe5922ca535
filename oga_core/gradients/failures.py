"""What goes wrong while a model runs, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from oga_core.errors import OgaError
from oga_core.models.pt2.program import GraphRunError
from oga_core.models.refusals import without_gradient

_OF_A_MODEL = (RuntimeError, IndexError, ValueError, TypeError, KeyError)
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
NOT_FINITE = "the model's output is not finite"


class StartAgain(Exception):
    """The method used so far is not right for all samples, so what was written must be replaced."""


class OutOfMemory(Exception):
    """The batch does not fit into memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; on the CPU torch says so in a `RuntimeError`."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError, OutOfMemory)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def is_for_others(error: BaseException) -> bool:
    """Whether an error says something else than that one method of computing gradients does not suit a model."""
    if isinstance(error, GraphRunError):
        return is_out_of_memory(error)
    return isinstance(error, (OgaError, StartAgain)) or is_out_of_memory(error)


@contextmanager
def model_runs(batch: Mapping[str, Tensor]) -> Iterator[None]:
    """Turn what a model raises on inputs that do not suit it into `OgaError`, and lack of memory into `OutOfMemory`."""
    try:
        yield
    except (MemoryError, *_OF_A_MODEL) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(str(error)) from error
        raise OgaError(_misfit(batch, error)) from error


def not_enough_memory(batch: Mapping[str, Tensor]) -> OgaError:
    """The error where the smallest batch does not fit."""
    return OgaError(
        f"There is not enough memory to run the model on {len(batch['labels'])} sample(s) ({_shapes(batch)}). "
        "Close other programs, use smaller inputs (image_size or max_length in the model card), or --parameters head."
    )


def random_gradients() -> OgaError:
    """The error for a model that gives other gradients for the same samples each time."""
    return OgaError(
        "The model gives other gradients for the same samples each time, in eval mode too: something in it is random. "
        "Write F.dropout(x, p, training=self.training) or nn.Dropout, or take out what draws random numbers."
    )


def not_finite() -> OgaError:
    """The error for a model whose answers to the first samples are no numbers."""
    return OgaError(
        "The model's output or its loss is not finite (NaN or infinite) for the samples that were tried first. "
        "Check its weights, the mean and std in the model card, and a loss of your own."
    )


_OTHER_INPUTS = "Check image_size, channels, max_length or features in the model card."
_OTHER_PRECISION = (
    "The model's inputs and its weights are numbers of different precision: give it inputs as its weights are, or its "
    "weights in float32 with model.float()."
)
_OF_PRECISION = re.compile(r"same dtype|expected scalar type|type \(.*should be the same")  # as torch says it
_OTHER_LABELS = "The loss takes other labels than these: name all their columns, such as --label-column x,y."


def _misfit(batch: Mapping[str, Tensor], error: BaseException) -> str:
    message = next(iter(f"{error}".splitlines()), "") or type(error).__name__
    wanted_and_got = set(re.findall(r"\btarget (\([^)]*\))", message))
    advice = _OTHER_PRECISION if _OF_PRECISION.search(message) else _OTHER_INPUTS
    advice = without_gradient(message, advice if len(wanted_and_got) < 2 else _OTHER_LABELS)
    return f"The model fails on these inputs ({_shapes(batch)}): {message[:300].rstrip('.')}. {advice}"


def _shapes(batch: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(value.shape)}" for name, value in batch.items() if name != "labels")
