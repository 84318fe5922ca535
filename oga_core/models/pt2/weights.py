"""Weights and constants of a `.pt2` file: raw bytes and a description of their shape, never a pickle."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.pt2.archive import RESAVE, Archive
from oga_core.models.pt2.schema import HALF, MAX_INT, STRIDED, Json, broken, dtype, field, static_size, typed

_PAYLOAD = re.compile(r"(weight|tensor)_\d{1,9}")
_SPARE_BYTES = 64 * 2**20
_LARGEST_ITEM = 16  # bytes of a complex128


def _is_addressable(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether torch can count the elements in 64 bits, also where an axis is empty or of one element."""
    reach = sum(max(size, 1) * stride for size, stride in zip(sizes, strides, strict=True))
    return max(math.prod(max(size, 1) for size in sizes), reach) <= MAX_INT // _LARGEST_ITEM


@dataclass(frozen=True)
class Layout:
    """Where one tensor lies in the bytes of its entry."""

    dtype: torch.dtype
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @classmethod
    def from_json(cls, meta: Json, name: str) -> Layout:
        """Read a tensor's description; raises `OgaError` for anything but a plain strided tensor."""
        if field(meta, "layout", int) != STRIDED:
            raise OgaError(f"The tensor {name!r} is sparse or in a backend's own layout; only dense tensors are read.")
        sizes = tuple(static_size(size, f"a size of {name!r}") for size in field(meta, "sizes", list))
        strides = tuple(static_size(size, f"a stride of {name!r}") for size in field(meta, "strides", list))
        if len(sizes) != len(strides) or len(sizes) > 16:
            raise broken(f"{name!r} has {len(sizes)} sizes and {len(strides)} strides")
        if not _is_addressable(sizes, strides):
            raise broken(f"{name!r} has shape {list(sizes)} and strides {list(strides)}, which no memory holds")
        offset = static_size(meta.get("storage_offset", {"as_int": 0}), f"the offset of {name!r}")
        return cls(dtype(meta.get("dtype")), sizes, strides, offset)

    @property
    def elements(self) -> int:
        """Number of elements of the tensor."""
        return math.prod(self.sizes)

    @property
    def end(self) -> int:
        """Number of elements that the entry must hold."""
        if not self.elements:
            return 0
        return self.offset + 1 + sum((size - 1) * stride for size, stride in zip(self.sizes, self.strides, strict=True))


class Weights:
    """Reads tensors by name; two names for the same bytes and layout give the same object.

    Half precision is converted to float32, and `converted` then names the first such dtype.
    """

    def __init__(self, archive: Archive):
        self.converted: torch.dtype | None = None
        self._archive = archive
        self._parameters: dict[tuple[str, Layout, bool], nn.Parameter] = {}
        self._buffers: dict[tuple[str, Layout], Tensor] = {}
        self._left = 2 * archive.size + _SPARE_BYTES
        self._last: tuple[str, bytearray] = ("", bytearray())

    def read(self, config: Mapping[str, Json], folder: str) -> dict[str, Tensor]:
        """Return all tensors of one config, in its order; parameters keep requires_grad."""
        return {
            name: self._tensor(name, typed(entry, dict, f"the entry of {name!r}"), folder)
            for name, entry in config.items()
        }

    def _tensor(self, name: str, entry: dict[str, Json], folder: str) -> Tensor:
        path = field(entry, "path_name", str)
        if path.startswith(("opaque_obj_", "custom_obj_")):
            raise OgaError(
                f"The constant {name!r} is a pickled Python object, which can run code. Remove it from the model."
            )
        if entry.get("use_pickle", False) is not False:
            raise OgaError(f"The tensor {name!r} is stored as a pickle, which can run code. {RESAVE}")
        if not _PAYLOAD.fullmatch(path):
            raise broken(f"the tensor {name!r} lies in {path[:80]!r}")
        meta = field(entry, "tensor_meta", dict)
        layout = Layout.from_json(meta, name)
        if entry.get("is_param") is not True:
            key = (path, layout)
            if key not in self._buffers:
                self._buffers[key] = self._load(name, folder + path, layout)
            return self._buffers[key]
        trains = bool(meta.get("requires_grad")) and layout.dtype.is_floating_point
        shared = (path, layout, trains)
        if shared not in self._parameters:
            self._parameters[shared] = nn.Parameter(self._load(name, folder + path, layout), requires_grad=trains)
        return self._parameters[shared]

    def _load(self, name: str, path: str, layout: Layout) -> Tensor:
        if not layout.elements:
            return torch.empty(layout.sizes, dtype=layout.dtype)
        data = self._bytes(path)
        available = len(data) // layout.dtype.itemsize
        if layout.end > available or layout.elements > max(available, 2**20):
            raise broken(f"{name!r} has shape {list(layout.sizes)}, more than the {len(data):,} bytes stored for it")
        self._left -= layout.elements * layout.dtype.itemsize
        if self._left < 0:
            raise broken("its tensors are together much larger than the file")
        flat = torch.frombuffer(data, dtype=layout.dtype, count=available)
        # clone keeps a dense memory format such as channels_last, which changes the rounding of convolutions
        tensor = flat.as_strided(layout.sizes, layout.strides, layout.offset).clone()
        if layout.dtype in HALF:
            self.converted = self.converted or layout.dtype
            tensor = tensor.float()
        return tensor

    def _bytes(self, path: str) -> bytearray:
        if self._last[0] != path:
            self._last = (path, self._archive.read(path))
        return self._last[1]
