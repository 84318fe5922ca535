"""Which of a model's outputs holds the logits: one rule for files and for models in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from oga_core.errors import OgaError

Chosen = str | int | None
"""What a model card names as the output: its key, or its position counted from 0; None leaves it to the rule."""
_RANKS = (2, 3, 1, 4)  # (batch, classes), (batch, time, vocabulary), one number a sample, and maps of classes
_SHOWN = 6  # in a message


@dataclass(frozen=True)
class Output:
    """One tensor among what a model returns: its key, None in a tuple, and its shape, None where any size goes.

    floating: whether it could hold logits.
    """

    key: str | None
    shape: tuple[int | None, ...]
    floating: bool


def chosen_output(outputs: Sequence[Output], chosen: Chosen = None) -> int:
    """Return the position of the output that a card names, else of the logits.

    Those are what is called `logits`, else the first floating-point output of two dimensions, else of three, of one,
    or of four. Raises `OgaError` where there is none.
    """
    if chosen is not None:
        return _named(outputs, chosen)
    usable = [at for at, output in enumerate(outputs) if output.floating and len(output.shape) in _RANKS]
    for at in usable:
        if outputs[at].key == "logits" and len(outputs[at].shape) > 1:
            return at
    for rank in _RANKS:
        for at in usable:
            if len(outputs[at].shape) == rank:
                return at
    raise OgaError(
        "The model has no output of shape (batch, classes), (batch, time, vocabulary), (batch, classes, "
        "height, width), or (batch,) for numbers. Return the logits as a floating-point tensor."
    )


def output_note(outputs: Sequence[Output], at: int) -> str | None:
    """Return a sentence that says which of several outputs is taken; None where there is only one."""
    if sum(output.floating for output in outputs) < 2:
        return None
    return (
        f"Of the model's {len(outputs)} outputs ({_shown(outputs)}) the one {_words(outputs, at)} is taken. "
        '"output" in the model card, a name or a position counted from 0, takes another.'
    )


def outputs_in(value: Any) -> tuple[list[Output], list[Tensor]]:
    """Return the outputs of a model in memory, described and as they are; nested ones by their outermost key."""
    named = list(_tensors(value, None))
    described = [Output(key, (None, *tensor.shape[1:]), tensor.is_floating_point()) for key, tensor in named]
    return described, [tensor for _, tensor in named]


def logits_of(value: Any, chosen: Chosen = None) -> Tensor:
    """Return the output with the logits among what a model returns. Raises `OgaError` where there is none."""
    if isinstance(value, Tensor) and chosen is None:
        return value
    outputs, tensors = outputs_in(value)
    if not tensors:
        raise OgaError(
            f"The model answers with {type(value).__name__}, not with logits. Return one tensor (batch, classes)."
        )
    return tensors[chosen_output(outputs, chosen)]


def _named(outputs: Sequence[Output], chosen: str | int) -> int:
    places = [at for at, output in enumerate(outputs) if chosen in (output.key, at)]
    if not places or not outputs[places[0]].floating:
        raise OgaError(
            f"'output' in the model card is {chosen!r}, and no floating-point output of the model is called so. It "
            f"has: {_shown(outputs)}, counted from 0."
        )
    return places[0]


def _tensors(value: Any, key: str | None) -> Iterator[tuple[str | None, Tensor]]:
    if isinstance(value, Tensor):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _tensors(item, key or str(name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item, key)
    elif (logits := getattr(value, "logits", None)) is not None:
        yield from _tensors(logits, "logits")


def _shown(outputs: Sequence[Output]) -> str:
    shown = [f"{output.key or at} {_size(output)}" for at, output in enumerate(outputs[:_SHOWN])]
    return ", ".join(shown) + (", …" if len(outputs) > _SHOWN else "")


def _words(outputs: Sequence[Output], at: int) -> str:
    key = outputs[at].key
    return f"called {key}" if key else f"at position {at}, counted from 0,"


def _size(output: Output) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in output.shape)})"
