"""One call of a function that meets data and parameters: its arguments by name, and where the batch is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from oga_core.gradients.hooks.gradient_capture import GradientCapture

Layout = int | str  # see layouts.Layouts


class OverwrittenError(RuntimeError):
    """A layer's input was changed in place after the layer used it, so its gradient cannot be formed from it."""


_DATA = ("input", "indices")


class Call:
    """The arguments of a call by name; None where left out. Calls the function again with replaced parameters."""

    def __init__(self, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]):
        self.names, self.args, self.kwargs = names, list(args), dict(kwargs)

    def __getitem__(self, name: str) -> Any:
        position = self.names.index(name) if name in self.names else len(self.args)
        return self.args[position] if position < len(self.args) else self.kwargs.get(name)

    def run(self, func: Any) -> Any:
        """Call the function with the values of derived tensors, off their own tape, and let go of the data."""
        args, kwargs = self.args, self.kwargs
        self.args = [None if name in _DATA else value for name, value in zip(self.names, args, strict=False)]
        self.kwargs = {name: value for name, value in kwargs.items() if name not in _DATA}
        return func(*map(_plain, args), **{name: _plain(value) for name, value in kwargs.items()})


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) and hasattr(value, "_oga_sink") else value


class Site:
    """One call: the layout of its input, kept for the backward pass, and where gradients of its parameters go."""

    def __init__(self, capture: GradientCapture, call: Call, data: Tensor, shape: Sequence[int] | None = None):
        self.n, self.capture, self.call = capture.n, capture, call
        self.layout = capture.layout(shape or data.shape)
        self._data, self._version = [data.detach()], data._version

    def take(self, name: str) -> Callable[[Any], None] | None:
        """Return what takes the use of the parameter called `name` in the call, None if it is not selected."""
        sink = self.capture.sink(self.call[name])
        return self.capture.route(sink) if sink else None

    def input(self) -> Tensor:
        """The input as it was when the layer used it, in float32 where it holds real numbers; given away, once."""
        data = self._data.pop()
        if data._version != self._version:
            raise OverwrittenError("the input of a layer was changed in place")
        return data.float() if data.is_floating_point() else data

    def positions(self, tensor: Tensor) -> Tensor:
        """Bring `(…, size)` into `(batch, time, size)`."""
        if self.layout == "interleaved":
            tensor = tensor.unflatten(0, (-1, self.n))
        tensor = tensor.movedim(1, 0) if self.layout in (1, "interleaved") else tensor
        return tensor.reshape(self.n, -1, tensor.shape[-1])

    def per_sample(self, values: Tensor) -> Tensor:
        """Add up what belongs to one sample where the first axis holds more than the batch."""
        return per_sample(values, self.layout, self.n)


def per_sample(values: Tensor, layout: Layout | None, n: int) -> Tensor:
    """Add up what belongs to one sample where the first axis holds more than the batch of `n`."""
    if layout == "folded":
        return values.unflatten(0, (n, -1)).sum(1)
    return values.unflatten(0, (-1, n)).sum(0) if layout == "interleaved" else values


def plain_name(func: Any) -> str:
    """The plain name: `add` for torch.add, Tensor.__add__, Tensor.add_ and aten.add.Tensor; `get` for attributes."""
    return str(getattr(func, "__name__", "")).partition(".")[0].strip("_")
