"""Adds up sketches and norms of one batch, parameter by parameter, as their gradients come."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from oga_core.gradients.hooks.factors import LookupUse, Use, chunks, combined
from oga_core.gradients.hooks.sketching import Kept, Sketcher


class Reduction:
    """The sketch `(n, dim)`, and where wanted the squared L2 and the L1 norm `(n,)`, of the parameters so far.

    by_parameter: what each parameter adds, `(sketch before folding, squared norm)`, for the self-check.
    """

    def __init__(self, n: int, sketcher: Sketcher, *, l1: bool = False, l2: bool = True, keep: bool = False):
        self.sketcher, self.l1, self.l2, self.keep = sketcher, l1, l2, keep
        self.sketch = torch.zeros(n, sketcher.dim, device=sketcher.device)
        self.squared = torch.zeros(n, device=sketcher.device)
        self.absolute = torch.zeros(n, device=sketcher.device)
        self.by_parameter: dict[str, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def __call__(self, name: str, uses: list[Use]) -> None:
        """Add the gradient of the parameter called `name`, which is the sum over its uses."""
        use = combined(uses)
        sketch, squared = self._reduce(name, use)
        self.sketcher.fold(self.sketch, name, sketch)
        self.squared += squared
        if self.keep:
            self.by_parameter[name] = (sketch, squared)

    def arrays(self) -> dict[str, Tensor]:
        """The results by the names of `GradientSketch`."""
        arrays = {"sketch": self.sketch}
        if self.l2:
            arrays["l2_norm_all"] = self.squared.sqrt()
        if self.l1:
            arrays["l1_norm_all"] = self.absolute
        return arrays

    def add(self, other: Reduction) -> None:
        """Add the results of other parameters, of the same samples."""
        self.sketch += other.sketch
        self.squared += other.squared
        self.absolute += other.absolute
        self.by_parameter.update(other.by_parameter)

    def join(self, parts: Sequence[Reduction]) -> None:
        """Take over the results of the samples one part after the other."""
        self.sketch = torch.cat([part.sketch for part in parts])
        self.squared = torch.cat([part.squared for part in parts])
        self.absolute = torch.cat([part.absolute for part in parts])
        for name in parts[0].by_parameter:
            sketches, squares = zip(*(part.by_parameter[name] for part in parts), strict=True)
            self.by_parameter[name] = torch.cat(sketches), torch.cat(squares)

    def _reduce(self, name: str, use: Use) -> tuple[Tensor, Tensor]:
        if self.l1 and isinstance(use, LookupUse):
            self.absolute += use.absolute_norms()
        elif self.l1 or (self.l2 and use.explicit_is_shorter):
            return self._reduce_explicit(name, use)
        squared = use.squared_norms() if self.l2 else torch.zeros_like(self.squared)
        return use.sketch(name, self.sketcher), squared

    def _reduce_explicit(self, name: str, use: Use) -> tuple[Tensor, Tensor]:
        """Form the gradient of a few samples at a time and take everything from it."""
        whole = Kept.of(use.shape).everything  # else the sketch is cheaper from the factors
        sketches, squares = [], []
        for part in chunks(use):
            gradient = use.explicit(part)
            flat = gradient.flatten(1)
            squares.append(torch.linalg.vecdot(flat, flat))
            if self.l1:
                self.absolute[part] += torch.linalg.vector_norm(flat, 1, dim=1)
            if whole:
                sketches.append(self.sketcher.gradient(name, gradient))
        return torch.cat(sketches) if whole else use.sketch(name, self.sketcher), torch.cat(squares)
