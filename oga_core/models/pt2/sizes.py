"""Sizes in a graph: the arithmetic on them, and the limit on tensors that are made from sizes alone."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from oga_core.models.pt2.schema import MAX_INT

Function = Callable[..., Any]

MAX_ELEMENTS = 2**30  # of one tensor made from sizes alone


def limited(function: Function, sizes: Callable[..., Any]) -> Function:
    """Wrap a function that makes a tensor of given sizes: raise before the memory is taken."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        numbers = [size for size in sizes(*args, **kwargs) if isinstance(size, (int, float))]
        if math.prod(abs(size) for size in numbers) > MAX_ELEMENTS:
            raise RuntimeError(f"a tensor of size {numbers} is larger than {MAX_ELEMENTS:,} elements")
        return function(*args, **kwargs)

    return call


def grouped(function: Function, at: int) -> Function:
    """Wrap a convolution whose number of groups, its argument number `at`, is computed: one for a channel at most."""

    @functools.wraps(function)
    def call(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        groups = args[at - 1]
        if not isinstance(groups, int) or not 1 <= groups <= max(x.shape[:2]):
            raise RuntimeError(f"a convolution of {tuple(x.shape)} has {str(groups)[:20]} groups")
        return function(x, *args, **kwargs)

    return call


def first(size: Any, *_: Any, **__: Any) -> Any:
    return size


def second(_self: Any, size: Any, *_: Any, **__: Any) -> Any:
    return size


def range_length(*args: Any, **_: Any) -> list[float]:
    start, end, step = (0, args[0], 1) if len(args) == 1 else (*args[:2], args[2] if len(args) > 2 else 1)
    return [(end - start) / step if step else 0]


def repeats(x: Tensor, counts: Any, *_: Any, **__: Any) -> list[int]:
    return [x.numel(), *(counts if isinstance(counts, (list, tuple)) else [counts])]


def transform_sizes(_x: Any, size: Any = None, *_: Any, **__: Any) -> list[Any]:
    """The sizes that a Fourier transform cuts or pads to, where it is given any."""
    return [] if size is None else [*size] if isinstance(size, (list, tuple)) else [size]


def _at_most(base: int, exponent: int) -> Any:
    if isinstance(base, int) and (abs(exponent) > 64 or abs(base) > 2**31):
        raise RuntimeError(f"the size {base} ** {exponent} is too large")
    return base**exponent


def _shift(value: int, count: int) -> int:
    if not 0 <= count <= 62:
        raise RuntimeError(f"a size is shifted by {count} bits")
    return value << count


def _trunc(value: Any) -> int:
    return int(value)


def _bounded(function: Function) -> Function:
    """Wrap arithmetic on sizes: numbers that double their digits at each step would never be computed."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        result = function(*args)
        if isinstance(result, int) and abs(result) > MAX_INT:
            raise RuntimeError("a size has more than 64 bits")
        return result

    return call


# The arithmetic on sizes that a graph may hold, by the names under which torch writes it.
_ARITHMETIC: dict[str, Function] = {
    "_operator.add": lambda a, b: a + b,
    "_operator.sub": lambda a, b: a - b,
    "_operator.mul": lambda a, b: a * b,
    "_operator.floordiv": lambda a, b: a // b,
    "_operator.truediv": lambda a, b: a / b,
    "_operator.mod": lambda a, b: a % b,
    "_operator.pow": _at_most,
    "_operator.neg": lambda a: -a,
    "_operator.pos": lambda a: a,
    "_operator.eq": lambda a, b: a == b,
    "_operator.ne": lambda a, b: a != b,
    "_operator.lt": lambda a, b: a < b,
    "_operator.le": lambda a, b: a <= b,
    "_operator.gt": lambda a, b: a > b,
    "_operator.ge": lambda a, b: a >= b,
    "_operator.and_": lambda a, b: a & b,
    "_operator.or_": lambda a, b: a | b,
    "_operator.lshift": _shift,
    "_operator.rshift": lambda a, b: a >> b,
    "math.trunc": _trunc,
    "math.floor": math.floor,
    "math.ceil": math.ceil,
    "torch.sym_int": _trunc,
    "torch.sym_float": float,
    "torch.sym_not": lambda a: not a,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_ite": lambda condition, a, b: a if condition else b,
    "torch._sym_sqrt": math.sqrt,
    "torch.sym_sqrt": math.sqrt,
    "torch.sym_sum": lambda *numbers: sum(numbers[0] if isinstance(numbers[0], (list, tuple)) else numbers),
}
SIZE_OPERATORS = {name: _bounded(function) for name, function in _ARITHMETIC.items()}
