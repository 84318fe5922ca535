"""Inputs that a formula gives: the same numbers on every machine, whatever its random generator."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

_FREQUENCY = 1.7  # no fraction of pi, so that no value returns
_STEP = 7919  # a prime, so that neighbours get far codes
MAX_ELEMENTS = 2**25  # of all inputs: two pictures of 2,300 pixels a side; more takes too long to try
_MAX_DIMS = 16  # no layer takes more than 5
_DTYPES = frozenset(
    ["float64", "float32", "float16", "bfloat16", "complex64", "complex128", "bool", "uint8"]
    + [f"int{bits}" for bits in (8, 16, 32, 64)]
)


@dataclass(frozen=True)
class Probe:
    """One input: its shape with the batch, its dtype, and the range of its integers; `name` is empty by position.

    columns: the range of each column's integers, where they differ as the categories of a table do.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: int = 0
    high: int = 0
    columns: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, value: Tensor, batch: int, name: str = "", *, by_column: bool = False) -> Probe:
        """Describe an example of an input."""
        shape = (batch, *value.shape[1:])
        kind = str(value.dtype).removeprefix("torch.")
        if value.is_floating_point() or value.is_complex() or not value.numel():
            return cls(name, shape, kind)
        columns = zip(value.amin(0).tolist(), value.amax(0).tolist(), strict=True) if by_column else ()
        return cls(name, shape, kind, int(value.min()), int(value.max()), tuple(columns))

    @classmethod
    def from_json(cls, content: Any) -> Probe:
        """Read a description from a file; raises `ValueError` for one that is none."""
        probe = cls(**content)
        columns = tuple((low, high) for low, high in probe.columns)
        whole = [probe.low, probe.high, *probe.shape, *(end for ends in columns for end in ends)]
        if not all(type(value) is int for value in whole) or not isinstance(probe.name, str):
            raise ValueError(content)
        if probe.dtype not in _DTYPES or len(probe.shape) > _MAX_DIMS or min(probe.shape, default=0) < 0:
            raise ValueError(content)
        if math.prod(probe.shape) > MAX_ELEMENTS or not _holds(getattr(torch, probe.dtype), probe.low, probe.high):
            raise ValueError(content)
        inside = all(probe.low <= low <= high <= probe.high for low, high in columns)
        if columns and (not inside or len(probe.shape) != 2 or probe.shape[1] != len(columns)):
            raise ValueError(content)
        return replace(probe, shape=tuple(probe.shape), columns=columns)

    def tensor(self, device: torch.device) -> Tensor:
        """Return the input. What is 0 or 1 alone is a mask, and all ones."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        if dtype.is_floating_point or dtype.is_complex:
            return _waves(self.shape).to(device, dtype)
        if dtype == torch.bool or (self.low >= 0 and self.high == 1):
            return torch.ones(self.shape, dtype=dtype, device=device)
        index = torch.arange(math.prod(self.shape), dtype=torch.int64).reshape(self.shape)
        codes = self.low + index * _STEP % (self.high - self.low + 1)
        if self.columns:
            low, high = torch.tensor(self.columns).unbind(1)
            codes = codes.clamp(low, high)
        return codes.to(device, dtype)


def _holds(dtype: torch.dtype, low: int, high: int) -> bool:
    """Whether integers of this type can have the range; other types have none."""
    if dtype.is_floating_point or dtype.is_complex or dtype == torch.bool:
        return low in (0, 1) and high in (0, 1)
    return torch.iinfo(dtype).min <= low <= high <= torch.iinfo(dtype).max


def probe_like(value: Tensor) -> Tensor:
    """Weights for a sum over all outputs that no symmetry of the model cancels, as float32."""
    return _waves(tuple(value.shape)).to(value.device, torch.float32)


def _waves(shape: tuple[int, ...]) -> Tensor:
    index = torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)
    return math.sqrt(2) * torch.cos(_FREQUENCY * (index + 1))
