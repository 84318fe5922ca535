"""Calls of functions as they come: arguments by name, the tensors among them, plain names of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LINEAR = {F.linear, torch.ops.aten.linear.default}
_DATA = ("input", "indices")


class Call:
    """The arguments of a call by name; None where left out. Calls the function again with replaced parameters."""

    def __init__(self, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]):
        self.names = names
        self.args = list(args)
        self.kwargs = kwargs

    def __getitem__(self, name: str) -> Any:
        position = self.names.index(name) if name in self.names else len(self.args)
        return self.args[position] if position < len(self.args) else self.kwargs.get(name)

    def run(self, func: Any) -> Any:
        """Call the function with the values of derived tensors, off their own tape, and let go of the data."""
        args = self.args
        kwargs = self.kwargs
        self.args = [None if name in _DATA else value for name, value in zip(self.names, args, strict=False)]
        self.kwargs = {name: value for name, value in kwargs.items() if name not in _DATA}
        return func(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})


def plain_name(func: Any) -> str:
    """The plain name: `add` for torch.add, Tensor.__add__, Tensor.add_ and aten.add.Tensor; `get` for attributes."""
    return str(getattr(func, "__name__", "")).partition(".")[0].strip("_")


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among the values, and in lists and tuples among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from tensors_in(value)


def with_tensors(value: Any, replace: Callable[[Tensor], Tensor]) -> Any:
    """Return an argument with every tensor in it replaced."""
    if isinstance(value, Tensor):
        return replace(value)
    if type(value) in (tuple, list):
        return type(value)(with_tensors(item, replace) for item in value)
    return value


def plain(value: Any) -> Any:
    """Return a derived tensor off its own tape, any other value as it is."""
    return value.detach() if isinstance(value, Tensor) and hasattr(value, "_oga_sink") else value
