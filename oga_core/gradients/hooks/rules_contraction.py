"""Contractions: `einsum`, products of matrices for each head or expert, bilinear layers.

The gradient of one operand is the contraction of all others with the gradient at the output, the batch's axis kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from oga_core.gradients.factors.factor import ComputedFactor, Factor, canonical, vector, wide_dtype, working
from oga_core.gradients.factors.products import ProductFactor
from oga_core.gradients.hooks.calls import Call, plain, tensors_in
from oga_core.gradients.hooks.tape import Site, Tape

aten = torch.ops.aten
_BATCH, _SPARE = "ZY"  # labels of the batch and of what is folded with it; equations use the letters before


@dataclass(frozen=True)
class Labels:
    """The axes of a contraction by letters: one text an operand, and that of the output."""

    operands: tuple[str, ...]
    output: str

    @classmethod
    def of_einsum(cls, equation: str, operands: Sequence[Tensor]) -> Labels | None:
        """Read an equation, None where an operand takes a diagonal; an ellipsis becomes letters of its own."""
        left, arrow, output = equation.replace(" ", "").partition("->")
        texts = left.split(",")
        free = [letter for letter in ascii_letters if letter not in equation and letter not in _BATCH + _SPARE]
        n_rest = max(
            (tensor.ndim - len(text) + 3 for text, tensor in zip(texts, operands, strict=True) if "..." in text),
            default=0,
        )
        rest = "".join(free[:n_rest])
        if not arrow:
            once = sorted(letter for letter in set(left) - {",", "."} if left.count(letter) == 1)
            output = "..." * ("..." in left) + "".join(once)
        whole = tuple(
            text.replace("...", rest[len(rest) - (tensor.ndim - len(text) + 3) :] if "..." in text else "")
            for text, tensor in zip(texts, operands, strict=True)
        )
        if any(len(set(text)) < len(text) for text in whole) or set(equation) & {_BATCH, _SPARE}:
            return None
        return cls(whole, output.replace("...", rest))

    @classmethod
    def of_product(cls, one: Tensor, other: Tensor) -> Labels:
        """Those of `one @ other` for operands of two or more axes; the leading axes are aligned on the right."""
        leading = ascii_letters[: max(one.ndim, other.ndim) - 2]
        texts = (leading[len(leading) - one.ndim + 2 :] + "ik", leading[len(leading) - other.ndim + 2 :] + "kj")
        return cls(texts, leading + "ij")


@dataclass(frozen=True)
class Part:
    """One tensor of the gradient's contraction, its axes by letters."""

    labels: str
    values: Tensor

    def of_samples(self, batch: str, site: Site) -> Part:
        """Split off the samples' axis where the batch's holds more, and let go of one that is the same for all."""
        axis = self.labels.find(batch)
        if axis < 0 or self.values.shape[axis] == 1 < site.n:
            return self if axis < 0 else Part(self.labels.replace(batch, ""), self.values.squeeze(axis))
        if site.layout == "folded":
            return Part(self.labels.replace(batch, _BATCH + _SPARE), self.values.unflatten(axis, (site.n, -1)))
        if site.layout == "interleaved":
            return Part(self.labels.replace(batch, _SPARE + _BATCH), self.values.unflatten(axis, (-1, site.n)))
        return Part(self.labels.replace(batch, _BATCH), self.values)

    def rows(self, rows: slice) -> Tensor:
        """The values of some samples."""
        axis = self.labels.find(_BATCH)
        return self.values if axis < 0 else self.values.narrow(axis, rows.start, rows.stop - rows.start)

    def positions(self, last: str) -> Tensor:
        """The values `(samples, positions, size of last)`."""
        rest = "".join(sorted(set(self.labels) - {_BATCH, last}))
        ordered = torch.einsum(f"{self.labels}->{_BATCH}{rest}{last}", self.values)
        return ordered.reshape(len(ordered), -1, ordered.shape[-1])


def contraction(
    tape: Tape, call: Call, operands: Sequence[Tensor], labels: Labels | None, run: Callable[[], Tensor]
) -> Tensor | None:
    """Run a contraction of data with one parameter, whose gradient is contracted again; None where it is no such."""
    ours = [position for position, operand in enumerate(operands) if tape.sink(operand)]
    others = [position for position in range(len(operands)) if position not in ours]
    data = next((position for position in others if _is_data(operands[position])), None)
    if labels is None or len(ours) != 1 or data is None:
        return None
    weight = operands[ours[0]]
    axes = zip(labels.operands[ours[0]], weight.shape, strict=True)
    wanted = "".join(label for label, size in axes if size > 1)  # one of length one may meet a longer one
    site = Site(tape, call, operands[data])
    if site.layout is None:
        return None
    batch = labels.operands[data][site.layout == 1]
    known = {*labels.output}.union(*(labels.operands[position] for position in others))
    if batch not in labels.output or batch in wanted or not {*wanted} <= known:
        return None
    sink = tape.sink(weight)
    assert sink is not None
    take = tape.route(sink)
    kept = [(operands[position].detach().conj(), labels.operands[position]) for position in others]

    def hook(gradient: Tensor) -> None:
        gradient = working(gradient)
        parts = [Part(text, tensor.to(gradient.dtype)) for tensor, text in kept]
        parts = [part.of_samples(batch, site) for part in (*parts, Part(labels.output, gradient))]
        take(_factor(parts, wanted, weight, site.n))

    return tape.on_tape(run(), hook)


def _factor(parts: Sequence[Part], wanted: str, weight: Tensor, n: int) -> Factor:
    product = _outer_products(parts, wanted) if weight.ndim == 2 else None
    if product is not None:
        return product
    equation = ",".join(part.labels for part in parts) + "->" + _BATCH + wanted
    shape = canonical(weight.shape)
    return ComputedFactor(
        lambda rows: torch.einsum(equation, *(part.rows(rows) for part in parts)), shape, n, weight.device
    )


def _outer_products(parts: Sequence[Part], wanted: str) -> ProductFactor | None:
    """A matrix's gradient as a sum of outer products over positions, None where it is none."""
    if len(parts) != 2 or len(wanted) != 2:
        return None
    row = wanted[0]
    column = wanted[1]
    for left, right in (tuple(parts), tuple(parts[::-1])):
        same = {*left.labels} - {row} == {*right.labels} - {column} and _BATCH in left.labels
        if same and row in left.labels and column in right.labels and row != column:
            return ProductFactor(left.positions(row), right.positions(column))
    return None


def einsum(tape: Tape, func: Any, call: Call) -> Any:
    """`torch.einsum` with an equation."""
    equation = call.args[0]
    operands = list(tensors_in(call.args[1:]))
    if not isinstance(equation, str) or len(operands) != equation.count(",") + 1:
        return None
    labels = Labels.of_einsum(equation, operands)
    return contraction(tape, call, operands, labels, lambda: func(equation, [plain(part) for part in operands]))


def matrix_products(tape: Tape, func: Any, call: Call) -> Any:
    """A product of matrices, one for each head, expert or sample, of which one operand is a parameter."""
    operands = (call["input"], call["weight"])
    if min(tensor.ndim for tensor in operands) < 2:
        return None
    return contraction(tape, call, operands, Labels.of_product(*operands), lambda: func(*map(plain, operands)))


def bilinear(tape: Tape, func: Any, call: Call) -> Any:
    """`F.bilinear`: one · weight · other for each output, plus bias."""
    operands = [call[name] for name in ("input1", "input2", "weight")]
    leading = ascii_letters[: operands[0].ndim - 1]
    labels = Labels((leading + "w", leading + "x", "vwx"), leading + "v")
    sink = tape.sink(call["bias"])
    output = contraction(tape, call, operands, labels, lambda: func(*map(plain, (*operands, call["bias"]))))
    if output is None or sink is None:
        return output
    take = tape.route(sink)

    def hook(gradient: Tensor) -> None:
        take(vector(working(gradient).reshape(tape.n, -1, gradient.shape[-1]).sum(1, dtype=wide_dtype(gradient))))

    return tape.on_tape(output, hook)


def _is_data(tensor: Tensor) -> bool:
    return tensor.requires_grad or hasattr(tensor, "_oga_data")


_OF_BILINEAR = ("input1", "input2", "weight", "bias")
_OF_PRODUCT = ("input", "weight")
_PRODUCTS = (
    *(torch.matmul, Tensor.matmul, Tensor.__matmul__, aten.matmul.default),
    *(torch.mm, Tensor.mm, aten.mm.default, torch.bmm, Tensor.bmm, aten.bmm.default),
)
RULES: dict[Any, tuple[tuple[str, ...], Any]] = {
    **dict.fromkeys((torch.einsum, aten.einsum.default), (("equation", "operands"), einsum)),
    **dict.fromkeys(_PRODUCTS, (_OF_PRODUCT, matrix_products)),
    **dict.fromkeys((F.bilinear, torch.bilinear, aten.bilinear.default), (_OF_BILINEAR, bilinear)),
}
