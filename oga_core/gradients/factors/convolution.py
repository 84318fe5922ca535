"""The gradient of a convolution's weight: one window that moves over the image of every sample."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oga_core.gradients.factors.factor import (
    Factor,
    Kept,
    Projections,
    Shape,
    chunks,
    joined,
    norms_by_positions,
    positions_that_pay,
    products,
    projecting_gradient_pays,
)

SHIFTED = 16  # multiplications that an addition along a shifted view is worth, as measured on a CPU
NARROW = 32  # columns up to which a convolution's gradient is cheaper as a product with its patches


@dataclass(frozen=True)
class Geometry:
    """How a convolution's window moves, one number per dimension."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def n_positions(self) -> int:
        return math.prod(self.kernel)

    def padded(self, image: Tensor) -> Tensor:
        """The image with its border."""
        flat = [size for sides in reversed(self.padding) for size in sides]
        return torch.nn.functional.pad(image, flat) if any(flat) else image

    def patches(self, image: Tensor, out_size: Sequence[int]) -> Tensor:
        """What the window sees, `(batch, channels, kernel positions, out positions)`."""
        image = self.padded(image)
        windows = [image[(slice(None), slice(None), *part)] for part in self.parts(out_size)]
        return torch.stack(windows, 2).flatten(3) if len(windows) > 1 else windows[0].flatten(2)[:, :, None]

    def parts(self, out_size: Sequence[int]) -> Iterator[tuple[slice, ...]]:
        """Yield for each position of the kernel the pixels of the padded image that it meets."""
        for offset in itertools.product(*map(range, self.kernel)):
            yield tuple(
                slice(o * gap, o * gap + (n - 1) * step + 1, step)
                for o, gap, n, step in zip(offset, self.dilation, out_size, self.stride, strict=True)
            )

    def n_pixels(self, size: Sequence[int]) -> int:
        """Pixels of an image with its border."""
        return math.prod(n + sum(sides) for n, sides in zip(size, self.padding, strict=True))

    def filtered(self, image: Tensor, weight: Tensor) -> Tensor:
        """Convolve without groups, `(batch, filters, *out size)`."""
        convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[len(self.kernel) - 1]
        image, padding = self._evenly_padded(image)
        return convolve(image, weight, None, self.stride, padding, self.dilation)

    def weight_gradients(self, left: Tensor, image: Tensor, shape: Shape) -> Tensor:
        """Weight gradients of every sample: samples become groups of one convolution, `(batch, *shape)`."""
        n, rows, columns, _ = len(left), *shape
        image, padding = self._evenly_padded(image)
        return torch.ops.aten.convolution_backward(
            left.reshape(1, -1, *left.shape[2:]),
            image.reshape(1, -1, *image.shape[2:]),
            left.new_empty(1).expand(n * rows, columns, *self.kernel),
            None,
            self.stride,
            padding,
            self.dilation,
            False,
            [0] * len(self.kernel),
            n * self.groups,
            [False, True, False],
        )[1].reshape(n, *shape)

    def _evenly_padded(self, image: Tensor) -> tuple[Tensor, list[int]]:
        """The image and the padding left to do, the same on both sides."""
        if all(before == after for before, after in self.padding):
            return image, [before for before, _ in self.padding]
        return self.padded(image), [0] * len(self.padding)


@dataclass
class ConvolutionFactor(Factor):
    """G[o, c, k] = Σ_t left[o, t] · patches(image)[c, k, t]: `(batch, rows, *size)` and `(batch, channels, *size)`.

    A convolution has the gradient at its output on the left and its input as the image; a transposed convolution has
    its input on the left and the gradient at its output as the image.
    """

    left: Tensor
    image: Tensor
    geometry: Geometry

    @property
    def shape(self) -> Shape:
        geometry = self.geometry
        return self.left.shape[1], self.image.shape[1] // geometry.groups, geometry.n_positions

    @property
    def device(self) -> torch.device:
        return self.left.device

    def __len__(self) -> int:
        return len(self.left)

    @property
    def explicit_is_shorter(self) -> bool:
        rows, columns, copies = self.shape
        if self.geometry.groups > 1:
            return True
        return self._time > positions_that_pay((rows, columns * copies, 1)) and not self._pixels_pay

    @property
    def suits_sketch_of_gradient(self) -> bool:
        pixels = math.prod(self.image.shape[2:])
        return self.geometry.groups > 1 or projecting_gradient_pays(self.shape, self._time, pixels)

    @property
    def _time(self) -> int:
        return math.prod(self.left.shape[2:])

    @property
    def _n_pixels(self) -> int:
        return self.geometry.n_pixels(self.image.shape[2:])

    @property
    def _pixels_pay(self) -> bool:
        """Whether norms cost least from the inner products between pixels, which patches share, by operations."""
        rows, columns, copies = self.shape
        time = self._time
        pixels = self._n_pixels
        if self.device.type != "cpu" or copies == 1:
            return False
        by_pixels = time**2 * (rows + SHIFTED * copies) + pixels**2 * columns
        by_patches = time**2 * (rows + columns * copies)
        return by_pixels < min(by_patches, rows * columns * copies * time)

    @property
    def numbers_at_a_time(self) -> int:
        patches = self.shape[1] * self.shape[2] * math.prod(self.left.shape[2:]) if self._by_patches else 0
        return math.prod(self.shape) + patches * (self.device.type != "cpu")

    @property
    def _by_patches(self) -> bool:
        """Whether the gradient is a product with what the window sees: one large product suits an accelerator."""
        if self.geometry.groups > 1:
            return False
        narrow = self.shape[1] * self.shape[2] <= NARROW or self.shape[2] == 1
        return narrow or self.device.type != "cpu"

    def explicit(self, rows: slice) -> Tensor:
        left = self.left[rows]
        image = self.image[rows]
        if not self._by_patches:
            return self.geometry.weight_gradients(left, image, self.shape)
        patches = self.geometry.patches(image, left.shape[2:]).flatten(1, 2)
        return products(left.flatten(2), patches.transpose(1, 2)).reshape(-1, *self.shape)

    def sketch(self, name: str, projections: Projections) -> Tensor:
        rows, columns, copies = self.shape
        sides = Kept.of(self.shape)
        if self.geometry.groups > 1 or sides.everything:
            return super().sketch(name, projections)
        left = self.left.flatten(2)
        image = self.image
        if rows > sides.rows:
            left = projections.matrix(name, "left", rows, sides.rows, left.dtype).T @ left
        if columns > sides.columns:
            projection = projections.matrix(name, "right", columns, sides.columns, image.dtype).T
            image = (projection @ image.flatten(2)).unflatten(2, image.shape[2:])
        if sides.columns * copies > sides.patches:
            filters = projections.matrix(name, "patches", sides.columns * copies, sides.patches, image.dtype)
            weight = filters.T.reshape(sides.patches, sides.columns, *self.geometry.kernel)
            right = self.geometry.filtered(image, weight).flatten(2)
        else:
            right = self.geometry.patches(image, self.left.shape[2:]).flatten(1, 2)
        return products(left, right.transpose(1, 2)).flatten(1)

    def squared_norms(self) -> Tensor:
        if self.explicit_is_shorter:
            return super().squared_norms()
        if self._pixels_pay:
            numbers = self._n_pixels**2 + 2 * self._time**2  # inner products between pixels, and between positions
            return joined([self._norms_by_pixels(rows) for rows in chunks(self, numbers)])
        left = self.left.flatten(2).transpose(1, 2)
        right = self.geometry.patches(self.image, self.left.shape[2:]).flatten(1, 2).transpose(1, 2)
        return norms_by_positions(left, right)

    def _norms_by_pixels(self, samples: slice) -> Tensor:
        """Squared norms from inner products between pixels, added up over the positions of the kernel."""
        left = self.left[samples].flatten(2)
        image = self.geometry.padded(self.image[samples])
        size = image.shape[2:]
        pixels = image.flatten(2)
        between = products(pixels.transpose(1, 2), pixels).unflatten(2, size).unflatten(1, size)
        first, *others = self.geometry.parts(self.left.shape[2:])
        right = between[(slice(None), *first, *first)].clone()
        for part in others:
            right += between[(slice(None), *part, *part)]
        return (products(left.transpose(1, 2), left) * right.reshape(len(left), *(left.shape[2],) * 2)).sum((1, 2))
