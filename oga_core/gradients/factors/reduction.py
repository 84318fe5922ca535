"""Adds up sketches and norms of one batch, parameter by parameter, as their gradients come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from oga_core.gradients.factors.factor import DirectFactor, Factor, Kept, chunks, joined, squares, vector, wide
from oga_core.gradients.factors.products import LateFactor, LookupFactor, combined
from oga_core.gradients.factors.sketching import Sketcher

LARGEST_WAITING = 2**27  # numbers that wait on a card to be folded together, 512 MiB


class Reduction:
    """The sketch `(n, dim)`, and where wanted the squared L2 and the L1 norm `(n,)`, of the parameters so far.

    dtype: of the sums. keep: whether to note what each parameter adds in `by_parameter`, `(sketch before folding,
    squared norm)` by name, for the self-check. whole: names and sizes of the parameters whose gradients are also kept
    as they are, one after the other; none are by default. scale: a power of two that the losses are multiplied by
    before they come here, until `unscale`.
    """

    def __init__(
        self,
        n: int,
        sketcher: Sketcher,
        *,
        l1: bool = False,
        l2: bool = True,
        keep: bool = False,
        dtype: torch.dtype = torch.float32,
        whole: Mapping[str, int] | None = None,
        scale: float = 1.0,
    ):
        self.sketcher = sketcher
        self.l1 = l1
        self.l2 = l2
        self.keep = keep
        self.whole = dict(whole or {})
        self.scale = scale
        self.squared = torch.zeros(n, device=sketcher.device, dtype=dtype)
        self.absolute = torch.zeros(n, device=sketcher.device, dtype=dtype)
        self.by_parameter: dict[str, tuple[Tensor, Tensor]] = {}
        self._sketch = torch.zeros(n, sketcher.dim, device=sketcher.device, dtype=dtype)
        self._whole = torch.zeros(n, sum(self.whole.values()), device=sketcher.device, dtype=dtype)
        self._waiting: defaultdict[int, list[tuple[str, Tensor]]] = defaultdict(list)
        self._n_waiting = 0

    @property
    def sketch(self) -> Tensor:
        """The sketch of all gradients so far, `(n, dim)`."""
        self._fold()
        return self._sketch

    def empty(self, n: int) -> Reduction:
        """Return a reduction of the same kind for `n` samples."""
        return Reduction(
            n,
            self.sketcher,
            l1=self.l1,
            l2=self.l2,
            keep=self.keep,
            dtype=self.squared.dtype,
            whole=self.whole,
            scale=self.scale,
        )

    @torch.no_grad()
    def __call__(self, name: str, factors: Sequence[Factor]) -> None:
        """Add the gradient of the parameter called `name`, which is the sum of the factors."""
        late = [factor.samples_at_a_time for factor in factors if isinstance(factor, LateFactor)]
        if late:
            return self._in_parts(name, factors, min(late))
        with _unrounded(self.squared.device.type):
            factor = combined(factors)
            sketch, squared = self._reduced(name, factor)
            self._keep_whole(name, factor, sketch)
        self._waiting[sketch.shape[1]].append((name, sketch))
        self._n_waiting += sketch.numel()
        if self._n_waiting > (0 if sketch.device.type == "cpu" else LARGEST_WAITING):
            self._fold()
        if squared is not None:
            self.squared += squared
        if self.keep:
            self.by_parameter[name] = (sketch, torch.zeros_like(self.squared) if squared is None else squared)

    def unscale(self) -> None:
        """Divide all results by `scale`, which is exact."""
        if self.scale == 1:
            return
        self._fold()
        self._sketch /= self.scale
        self._whole /= self.scale
        self.absolute /= self.scale
        self.squared /= self.scale**2
        for name, (sketch, squared) in self.by_parameter.items():
            self.by_parameter[name] = (sketch / self.scale, squared / self.scale**2)
        self.scale = 1.0

    def arrays(self) -> dict[str, Tensor]:
        """The results by the names of `GradientSketch`."""
        arrays = {"sketch": self.sketch}
        if self.l2:
            arrays["l2_norm_all"] = self.squared.sqrt()
        if self.l1:
            arrays["l1_norm_all"] = self.absolute
        if self.whole:
            arrays["gradients"] = self._whole
        return arrays

    def add(self, other: Reduction) -> None:
        """Add the results of other parameters, of the same samples."""
        self._fold()
        self._sketch += other.sketch
        self._whole += other._whole
        self.squared += other.squared
        self.absolute += other.absolute
        self.by_parameter.update(other.by_parameter)

    def reduce_parts(self, parts: Iterable[dict[str, Tensor]]) -> None:
        """Take whole gradients of a few samples after the other, `(samples, *parameter shape)` by name."""
        self._join([self._of_part(part) for part in parts])

    def _in_parts(self, name: str, factors: Sequence[Factor], step: int) -> None:
        """Reduce the gradient of `step` samples, then of the next: of all at once it would take too much memory."""
        parts = []
        for start in range(0, len(self.squared), step):
            rows = slice(start, start + step)
            parts.append(self.empty(len(self.squared[rows])))
            parts[-1](name, [factor.part(rows) for factor in factors])
        whole = self.empty(len(self.squared))
        whole._join(parts)
        self.add(whole)

    def _of_part(self, gradients: dict[str, Tensor]) -> Reduction:
        """Reduce gradients, each let go of once it is reduced: whole gradients take more memory than a batch does."""
        part = self.empty(len(next(iter(gradients.values()))))
        while gradients:
            name, gradient = gradients.popitem()
            part(name, [vector(wide(gradient))])
        return part

    def _join(self, parts: Sequence[Reduction]) -> None:
        self._sketch = torch.cat([part.sketch for part in parts])
        self._whole = torch.cat([part._whole for part in parts])
        self.squared = torch.cat([part.squared for part in parts])
        self.absolute = torch.cat([part.absolute for part in parts])
        for name in parts[0].by_parameter:
            pairs = [part.by_parameter[name] for part in parts]
            self.by_parameter[name] = torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])

    @torch.no_grad()
    def _fold(self) -> None:
        """Fold what waits, all of one length at once: a card is slow to be told of many small things."""
        for rows in self._waiting.values():
            names = [name for name, _ in rows]
            self.sketcher.fold_all(self._sketch, names, [sketch for _, sketch in rows])
        self._waiting.clear()
        self._n_waiting = 0

    def _keep_whole(self, name: str, factor: Factor, sketch: Tensor) -> None:
        if name not in self.whole:
            return
        names = list(self.whole)
        start = sum(self.whole[earlier] for earlier in names[: names.index(name)])
        if Kept.of(factor.shape).everything:  # then the sketch before folding is the gradient
            self._whole[:, start : start + self.whole[name]] += sketch
            return
        for rows in chunks(factor):
            self._whole[rows, start : start + self.whole[name]] += factor.explicit(rows).flatten(1)

    def _reduced(self, name: str, factor: Factor) -> tuple[Tensor, Tensor | None]:
        """The sketch before folding, and the squared norms where they are wanted."""
        if isinstance(factor, DirectFactor) and Kept.of(factor.shape).everything:
            return self._reduced_at_once(wide(factor.values).reshape(len(factor.values), -1))
        if self.l1 and isinstance(factor, LookupFactor):
            self.absolute += factor.absolute_norms()
        elif self.l1 or (self.l2 and factor.explicit_is_shorter):
            return self._reduced_explicitly(name, factor)
        sketch = factor.sketch(name, self.sketcher)
        if self.l2 and Kept.of(factor.shape).everything:
            return sketch, squares(sketch)
        return sketch, factor.squared_norms() if self.l2 else None

    def _reduced_at_once(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same of small gradients that lie there as they are, `(n, size)`: a network has dozens of them."""
        if self.l1:
            self.absolute += torch.linalg.vector_norm(values, 1, dim=1)
        return values, squares(values) if self.l2 or self.l1 else None

    def _reduced_explicitly(self, name: str, factor: Factor) -> tuple[Tensor, Tensor]:
        """Form the gradient of a few samples at a time and take everything from it."""
        sketches_it = factor.suits_sketch_of_gradient
        sketches = []
        squared = []
        for part in chunks(factor):
            gradient = factor.explicit(part)
            squared.append(squares(gradient))
            if self.l1:
                self.absolute[part] += torch.linalg.vector_norm(gradient.flatten(1), 1, dim=1)
            if sketches_it:
                sketches.append(self.sketcher.gradient(name, gradient))
        return joined(sketches) if sketches_it else factor.sketch(name, self.sketcher), joined(squared)


def _unrounded(device: str) -> AbstractContextManager[object]:
    """Autocast off, which would round what is added up; entering a context costs more than a small product does."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
