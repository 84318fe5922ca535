"""The example batch of a model that is packaged: what is open in its shapes, and random inputs of the same kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from oga_core.errors import OgaError

if TYPE_CHECKING:
    from oga_core.models.card import ModelCard

Example = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


@dataclass(frozen=True)
class ExampleInputs:
    """Positional and named inputs of one batch.

    names: of all of them, in the order of `tensors`. in_dict: the named ones go into one positional dict. free_length:
    the length of tokens stays open.
    """

    args: tuple[Tensor, ...]
    kwargs: dict[str, Tensor]
    names: tuple[str, ...] = ()
    in_dict: bool = False
    free_length: bool = True

    @classmethod
    def of(cls, example: Example, model: nn.Module) -> ExampleInputs:
        """Take the example apart and check it. Raises `OgaError`."""
        if any(isinstance(part, PackedSequence) for part in (example, *_parts(example))):
            raise OgaError(
                "The example is a PackedSequence, which no exported file takes. Let forward take the padded tensor and "
                "the lengths and pack them itself, and score the model in memory: oga_core.score(model, dataset)."
            )
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        if isinstance(example, Mapping):
            kwargs = {str(name): value for name, value in example.items() if name != "labels" and value is not None}
        elif isinstance(example, Tensor):
            args = (example,)
        else:
            args = tuple(example)
        strangers = [value for value in (*args, *kwargs.values()) if not isinstance(value, Tensor)]
        if strangers or not (args or kwargs):
            kind = type(strangers[0]).__name__ if strangers else "nothing"
            raise OgaError(f"The example must be a tensor, a tuple of tensors or a dict of tensors, got {kind}.")
        sizes = {value.shape[0] if value.dim() else 0 for value in (*args, *kwargs.values())}
        if len(sizes) > 1 or 0 in sizes:
            raise OgaError(
                f"All tensors of the example must have the batch as their first dimension, got sizes {sorted(sizes)}."
            )
        parameters = inspect.signature(model.forward).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        in_dict = not open_ended and not kwargs.keys() <= parameters.keys()
        device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
        here = {name: value.detach().to(device) for name, value in kwargs.items()}
        names = (*list(parameters)[: len(args)], *here)
        return cls(tuple(value.detach().to(device) for value in args), here, names, in_dict)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All inputs, positional first."""
        return (*self.args, *self.kwargs.values())

    @property
    def length(self) -> int | None:
        """Number of tokens of the example, None where there are none."""
        return next((value.shape[1] for value in self.tensors if _is_tokens(value)), None)

    @property
    def call(self) -> tuple[tuple[Any, ...], dict[str, Tensor]]:
        """Positional and named arguments for `forward`."""
        return ((dict(self.kwargs),), {}) if self.in_dict else (self.args, self.kwargs)

    def map(self, change: Callable[[Tensor], Tensor]) -> ExampleInputs:
        """Return the inputs with every tensor changed."""
        kwargs = {name: change(value) for name, value in self.kwargs.items()}
        return replace(self, args=tuple(change(value) for value in self.args), kwargs=kwargs)

    def random(self, batch: int, length: int | None = None) -> ExampleInputs:
        """Return random inputs of the same kind: other batch size, and other length for integer matrices."""
        return self.map(lambda value: _random(value, batch, length, by_column=self.has_columns(value)))

    def has_columns(self, value: Tensor) -> bool:
        """Whether an input's integers are columns, each with a range of its own, as categories of a table."""
        return not self.free_length and _is_tokens(value)

    def shapes(self, model: nn.Module) -> Any:
        """Return the dynamic_shapes for torch.export: batch open, and the length of token inputs."""
        free = torch.export.Dim.DYNAMIC

        def axes(value: Tensor) -> dict[int, Any]:
            return {0: free, 1: free} if self.free_length and _is_tokens(value) else {0: free}

        if self.args:
            return tuple(axes(value) for value in self.args)
        named = {name: axes(value) for name, value in self.kwargs.items()}
        if self.in_dict:
            return (named,)
        # torch wants what goes into **kwargs nested under that name
        parameters = inspect.signature(model.forward).parameters
        rest = next((p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD), None)
        if rest is None or all(name in parameters for name in named):
            return named
        nested = {name: value for name, value in named.items() if name not in parameters}
        return {name: value for name, value in named.items() if name in parameters} | {rest: nested}


def _parts(example: Any) -> tuple[Any, ...]:
    return tuple(example.values() if isinstance(example, Mapping) else () if isinstance(example, Tensor) else example)


def check_columns(inputs: ExampleInputs, card: ModelCard) -> None:
    """Raise `OgaError` where the card does not say which columns feed each of several inputs, or too few or many."""
    given = card.input.get("columns") if card.modality == "image" else card.input
    section = given if isinstance(given, Mapping) else {}
    beside = {
        name: value
        for name, value in zip(inputs.names, inputs.tensors, strict=True)
        if card.modality != "image" or name != card.input.get("image", name)
    }
    features = section.get("features")
    is_left_open = card.modality == "tabular" and features is None  # for a card beside the file
    if card.modality not in ("image", "tabular") or len(inputs.tensors) < 2 or is_left_open:
        return
    if not isinstance(features, dict) or features.keys() != beside.keys():
        how = '{"features": {' + ", ".join(f'"{name}": ["column", …]' for name in beside) + "}}"
        how = f'{{"columns": {how}}}' if card.modality == "image" else how
        raise OgaError(
            f"The model takes {len(inputs.names)} inputs ({', '.join(inputs.names)}). Say which columns of the data "
            f"each of {', '.join(beside)} is made of: input={how}."
        )
    categories = section.get("categories", {})
    for name, value in beside.items():
        is_coded = not value.is_floating_point()
        if is_coded and (plain := [column for column in features[name] if column not in categories]):
            raise OgaError(
                f"The input {name!r} takes integers, and {plain[0]!r} has no categories. List its values in their "
                f'order: "categories": {{"{plain[0]}": ["first", "second"]}}.'
            )
        widths = [len(categories[c]) if c in categories and not is_coded else 1 for c in features[name]]
        if value.dim() != 2 or value.shape[1] != sum(widths):
            raise OgaError(
                f"The input {name!r} of the example has shape {tuple(value.shape)}, and the columns {features[name]} "
                f"make (batch, {sum(widths)}): a category that goes in beside numbers takes one place for each value."
            )


def _is_tokens(value: Tensor) -> bool:
    return value.dim() == 2 and not value.is_floating_point()


def _random(value: Tensor, batch: int, length: int | None, *, by_column: bool) -> Tensor:
    shape = [batch, *value.shape[1:]]
    if length is not None and _is_tokens(value):
        shape[1] = length
    if value.is_floating_point() or value.is_complex():
        return torch.randn(shape, dtype=value.dtype, device=value.device)
    low, high = (int(value.min()), int(value.max())) if value.numel() else (0, 0)
    if value.dtype == torch.bool or (low >= 0 and high == 1):
        return torch.ones(shape, dtype=value.dtype, device=value.device)  # a mask: all tokens count
    drawn = torch.randint(low, high + 1, shape, dtype=value.dtype, device=value.device)
    return drawn.clamp(value.amin(0), value.amax(0)) if by_column and len(value) else drawn
