"""The values of one graph by name, and how its nodes refer to them: the slots, arguments and outputs of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from oga_core.errors import OgaError
from oga_core.models.pt2.program import DEVICE, Slot
from oga_core.models.pt2.schema import (
    HALF,
    MEMORY_FORMATS,
    STRIDED,
    Json,
    broken,
    dtype,
    floating,
    integer,
    typed,
    variant,
)
from oga_core.models.pt2.schema import field as required


class Scope:
    """Numbers the values of a graph and reads the arguments and outputs of its nodes.

    half: treat half-precision dtypes as float32, because the weights were converted.
    """

    def __init__(self, *, half: bool = False):
        self.half = half
        self.slots: dict[str, int] = {}
        self.n_slots = DEVICE + 1

    def add(self, name: str) -> int:
        """Return the slot of a new value."""
        if name in self.slots:
            raise broken(f"the name {name[:80]!r} is used twice")
        self.slots[name] = self.n_slots
        self.n_slots += 1
        return self.n_slots - 1

    def slot(self, name: Json) -> Slot:
        """Return the slot of a value that was made before."""
        index = self.slots.get(typed(name, str, "the name of a value"))
        if index is None:
            raise broken(f"the value {name[:80]!r} is used before it is made")
        return Slot(index)

    def outputs(self, node: dict[str, Json]) -> int | tuple[int | None, ...]:
        """Return new slots for the outputs of a node, None where one is not used."""
        outputs = required(node, "outputs", list)
        if len(outputs) == 1 and "as_tensors" not in typed(outputs[0], dict, "an output"):
            slot = self._output(outputs[0])
            return () if slot is None else slot
        if len(outputs) == 1:
            return tuple(self.add(required(item, "name", str)) for item in required(outputs[0], "as_tensors", list))
        return tuple(self._output(output) for output in outputs)

    def _output(self, output: Json) -> int | None:
        tag, value = variant(output, "an output")
        if tag == "as_none":
            return None
        if tag == "as_tensor":
            return self.add(required(value, "name", str))
        if tag in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return self.add(required(value, "as_name", str))
        raise broken(f"an output is of the kind {tag[:40]}")

    def value(self, argument: Json) -> Any:
        """Return an argument: what is known now as it is, what is computed as its slot."""
        tag, value = variant(argument, "an argument")
        reader = _READERS.get(tag)
        if reader is None:
            raise OgaError(f"The model's graph has an argument of the kind {tag[:40]!r}, which is not supported.")
        return reader(self, value)

    def dtype(self, code: Json) -> torch.dtype:
        """Return the dtype of a serialized code."""
        result = dtype(code)
        return torch.float32 if self.half and result in HALF else result


def _sym(tag: str, read: Callable[[Json, str], Any]) -> Callable[[Scope, Json], Any]:
    def value(scope: Scope, item: Json) -> Any:
        kind, content = variant(item, "a size")
        if kind == "as_name":
            return scope.slot(content)
        if kind != tag:
            raise broken(f"a size is of the kind {kind[:40]}")
        return read(content, "a size")

    return value


def _boolean(value: Json, what: str) -> bool:
    return typed(value, bool, what)


def _many(reader: Callable[[Scope, Json], Any]) -> Callable[[Scope, Json], Any]:
    return lambda scope, values: [reader(scope, value) for value in typed(values, list, "a list")]


def _tensor(scope: Scope, value: Json) -> Slot:
    return scope.slot(required(value, "name", str))


def _optional_tensor(scope: Scope, value: Json) -> Slot | None:
    tag, content = variant(value, "an optional tensor")
    return None if tag == "as_none" else _tensor(scope, content)


def _memory_format(_: Scope, value: Json) -> torch.memory_format:
    result = MEMORY_FORMATS.get(typed(value, int, "a memory format"))
    if result is None:
        raise broken(f"the memory format {value}")
    return result


def _layout(_: Scope, value: Json) -> None:
    if value != STRIDED:
        raise OgaError("The model makes sparse tensors, which is not supported.")


_READERS: dict[str, Callable[[Scope, Json], Any]] = {
    "as_none": lambda _, __: None,
    "as_tensor": _tensor,
    "as_tensors": _many(_tensor),
    "as_optional_tensor": _optional_tensor,
    "as_optional_tensors": _many(_optional_tensor),
    "as_int": lambda _, value: integer(value, "an int"),
    "as_ints": _many(lambda _, value: integer(value, "an int")),
    "as_float": lambda _, value: floating(value, "a float"),
    "as_floats": _many(lambda _, value: floating(value, "a float")),
    "as_bool": lambda _, value: _boolean(value, "a bool"),
    "as_bools": _many(lambda _, value: _boolean(value, "a bool")),
    "as_string": lambda _, value: typed(value, str, "a text"),
    "as_sym_int": _sym("as_int", integer),
    "as_sym_ints": _many(_sym("as_int", integer)),
    "as_sym_float": _sym("as_float", floating),
    "as_sym_floats": _many(_sym("as_float", floating)),
    "as_sym_bool": _sym("as_bool", _boolean),
    "as_scalar_type": lambda scope, value: scope.dtype(value),
    "as_memory_format": _memory_format,
    "as_layout": _layout,
    "as_device": lambda _, __: Slot(DEVICE),
}
