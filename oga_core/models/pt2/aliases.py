"""Which values of a graph may share memory, so that nothing writes into what the module or the caller owns."""

from __future__ import annotations

import functools
import operator

import torch

from oga_core.errors import OgaError
from oga_core.models.pt2.schema import Json, variant
from oga_core.models.pt2.schema import field as required

EVAL_MODE = (
    "Call model.eval() before torch.export.export and export again, or in one call: "
    "oga_core.package_model(model, example, 'model.pt2', classes=[…])."
)

# Operators that may return their input, or a view of it, although their schema does not say so.
_SHARING = """
contiguous.default reshape.default reshape_as.default flatten.using_ints dropout.default feature_dropout.default
to.dtype to.device to.dtype_layout to.other type_as.default broadcast_tensors.default expand_as.default
meshgrid.indexing chunk.default split.default split.Tensor tensor_split.sections unbind.int atleast_1d.default
lift_fresh.default _unsafe_view.default unsafe_chunk.default unsafe_split.Tensor view_as.default
"""
_MAY_SHARE = frozenset(_SHARING.split())


class Aliases:
    """Follows every value back to the inputs of the graph whose memory it may share.

    The inputs of a value are the bits of a number: graphs of a hundred thousand views are followed in a second.
    """

    def __init__(self) -> None:
        self._roots: dict[str, int] = {}
        self._inputs: list[str] = []

    def add_input(self, name: str) -> None:
        """Note an input of the graph: a parameter, a buffer, a constant or what the caller gives."""
        self._roots[name] = 1 << len(self._inputs)
        self._inputs.append(name)

    def follow(self, name: str, schema: torch._C.FunctionSchema, node: dict[str, Json]) -> bool:
        """Note the outputs of a call; return whether it writes into a value. Raises `OgaError` if that is an input."""
        values_of = {required(item, "name", str): tensor_names(required(item, "arg", dict)) for item in node["inputs"]}
        written = [a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
        for argument in written:
            if touched := self._shared(values_of.get(argument, [])):
                raise _write_error(self._inputs[touched.bit_length() - 1], name)
        shares = name in _MAY_SHARE or any(result.alias_info is not None for result in schema.returns)
        self.join([value for values in values_of.values() for value in values] if shares else [], node)
        return bool(written)

    def join(self, values: list[str], node: dict[str, Json]) -> None:
        """Note that the outputs of a node may share memory with these values."""
        shared = self._shared(values)
        for output in required(node, "outputs", list):
            for name in tensor_names(output):
                self._roots[name] = shared

    def _shared(self, values: list[str]) -> int:
        return functools.reduce(operator.or_, (self._roots.get(value, 0) for value in values), 0)


def tensor_names(argument: Json) -> list[str]:
    """Names of all tensors in one argument or output that has been read before."""
    tag, value = variant(argument, "an argument")
    if tag == "as_tensor":
        return [required(value, "name", str)]
    if tag == "as_tensors":
        return [required(item, "name", str) for item in value]
    if tag == "as_optional_tensors":
        return [required(item["as_tensor"], "name", str) for item in value if "as_tensor" in item]
    return []


def _write_error(value: str, operator: str) -> OgaError:
    if value.endswith("num_batches_tracked"):
        return OgaError(f"The model was exported in training mode: it counts batches. {EVAL_MODE}")
    return OgaError(
        f"The model writes into its own input, buffer or parameter ({value[:80]}) with {operator}. Compute a new "
        "tensor instead (x = x + 1, not x += 1) and export again."
    )
