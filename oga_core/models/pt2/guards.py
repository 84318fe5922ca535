"""What torch.export assumed about the sizes of the inputs, checked without running the text that says it.

A model that branches on a size (`if n % 3 == 0`) is exported with one branch and a guard. `torch.export.load` turns
guards into code; here they are parsed, and only comparisons and arithmetic on input sizes are understood.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oga_core.models.pt2.schema import Json

Shapes = Mapping[str, tuple[int, ...]]
Term = Callable[[Shapes], Any]

_SIZE = re.compile(r"L(?:\['\w+'\])*\['(\w+)'\]\.size\(\)")
_MAX_GUARDS = 1000
_MAX_LENGTH = 1000
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class _NotUnderstood(Exception):
    """A guard of a kind that is left out."""


def read_guards(guards: Json, names: Sequence[str]) -> list[tuple[str, Term]]:
    """Return text (`x.shape[0] % 3 == 0`) and check of each guard on the sizes of inputs; others are left out."""
    result = []
    for text in guards[:_MAX_GUARDS] if isinstance(guards, list) else []:
        if isinstance(text, str) and len(text) <= _MAX_LENGTH:
            try:
                holds = _term(ast.parse(text.strip(), mode="eval").body, names)
                result.append((_SIZE.sub(r"\1.shape", text.strip()), holds))
            except (_NotUnderstood, SyntaxError, ValueError, RecursionError, MemoryError):
                continue
    return result


def broken_guard(guards: Sequence[tuple[str, Term]], shapes: Shapes) -> str | None:
    """Return the first guard that these shapes break. A batch of 1 breaks none: exports exclude it without need."""
    if any(shape[:1] == (1,) for shape in shapes.values()):
        return None
    for text, holds in guards:
        try:
            if not holds(shapes):
                return text
        except (ArithmeticError, IndexError):
            continue
    return None


def _term(node: ast.AST, names: Sequence[str]) -> Term:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        value = node.value
        return lambda _: value
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        combine = _BINARY[type(node.op)]
        left = _term(node.left, names)
        right = _term(node.right, names)
        return lambda shapes: combine(left(shapes), right(shapes))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _term(node.operand, names)
        return lambda shapes: -inner(shapes)
    if isinstance(node, ast.Compare):
        terms = [_term(part, names) for part in (node.left, *node.comparators)]
        if not all(type(op) in _COMPARISONS for op in node.ops):
            raise _NotUnderstood
        compares = [_COMPARISONS[type(op)] for op in node.ops]
        return lambda shapes: all(
            compare(a(shapes), b(shapes)) for compare, a, b in zip(compares, terms, terms[1:], strict=False)
        )
    if isinstance(node, ast.Subscript):
        name, axis = _size(node, names)
        return lambda shapes: shapes[name][axis]
    raise _NotUnderstood


def _size(node: ast.Subscript, names: Sequence[str]) -> tuple[str, int]:
    """Read `L['batch']['x'].size()[axis]`: the input is named after its path."""
    call = node.value
    if not (
        isinstance(node.slice, ast.Constant)
        and type(node.slice.value) is int
        and isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "size"
    ):
        raise _NotUnderstood
    path: list[str] = []
    place = call.func.value
    while isinstance(place, ast.Subscript) and isinstance(place.slice, ast.Constant):
        path.insert(0, str(place.slice.value))
        place = place.value
    matches = [name for name in ("_".join(path), path[-1] if path else "") if name in names]
    if not matches:
        raise _NotUnderstood
    return matches[0], node.slice.value
