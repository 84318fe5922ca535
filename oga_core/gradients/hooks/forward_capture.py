"""What a forward pass shows without touching the model: function calls are watched, not modules.

Eager modules, PEFT models and graphs read from `.pt2` call the same functions, so one piece of code serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from oga_core.gradients.hooks.calls import LINEAR, Call

if TYPE_CHECKING:
    from oga_core.gradients.factors.sketching import Sketcher

MIDDLE_DEPTHS = (0.5, 0.65)  # where in the network middle features are taken: shares of its layers
MIDDLE_SIZE = 512  # numbers of all depths together

aten = torch.ops.aten
CONVOLUTIONS = {
    *(F.conv1d, F.conv2d, F.conv3d),
    *(aten.conv1d.default, aten.conv1d.padding, aten.conv2d.default, aten.conv2d.padding),
    *(aten.conv3d.default, aten.conv3d.padding, aten.convolution.default),
}
ADDMM = {torch.addmm, Tensor.addmm, aten.addmm.default}  # weight (in, out): Conv1D of GPT-2
OPERANDS = (("input", "weight", "bias"), ("bias", "input", "weight"))  # of a linear layer, of addmm
_SAME_VALUES = {
    "float",
    "to",
    "contiguous",
    "clone",
    "alias",
    "detach",
    "_to_copy",
    "dropout",
    "squeeze",
    "view",
    "reshape",
    "flatten",
}
_MEANS = {"mean", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool3d"}
_SELECTIONS = {"__getitem__", "select", "index"}


class ForwardCapture(TorchFunctionMode):
    """Watches one forward pass: the inputs of linear layers, and pooled inputs of the layers at `middle`.

    middle: positions, in the order of the calls, of the layers whose inputs are pooled; their names in the sketch of
        middle features are these positions. mask: `(batch, time)` of the tokens that count, if the data has one.
    by_token: keep the inputs of every token, where there are tokens, in place of their mean.
    """

    def __init__(self, middle: Sequence[int] = (), mask: Tensor | None = None, *, by_token: bool = False):
        super().__init__()
        self.middle = frozenset(middle)
        self.mask = mask
        self.by_token = by_token
        self.pooled: list[Tensor] = []
        self.n_layers = 0
        self.last_weight: Tensor | None = None
        self.output_bytes = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        with torch._C.DisableTorchFunction():  # what else watches need not see what is noted here
            self._note(func, args, kwargs, output)
        return output

    def _note(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        if func in LINEAR or func in ADDMM:
            call = Call(OPERANDS[func in ADDMM], args, kwargs or {})
            self._layer(_pool_tokens, call, output)
            _mark(output, Product(call["input"], call["weight"]))
        elif func in CONVOLUTIONS:
            call = Call(("input", "weight"), args, kwargs or {})
            self._layer(_pool_space, call, output)
            if _is_linear(call["input"], call["weight"], output):
                _mark(output, Product(call["input"].flatten(1), call["weight"]))
        elif args and isinstance(output, Tensor):
            _follow(func, output, args)

    def _layer(self, pool: Callable[[Tensor, Tensor | None], Tensor], call: Call, output: Tensor) -> None:
        inputs: Tensor = call["input"]
        if inputs.ndim < 2:  # one row, of which a network makes weights for all samples
            return
        self.last_weight = call["weight"]
        if self.n_layers in self.middle:
            with torch.autocast(inputs.device.type, enabled=False):  # means are taken in float32
                whole = self.by_token and pool is _pool_tokens and inputs.ndim == 3
                self.pooled.append(inputs.detach().float() if whole else pool(inputs.detach(), self.mask))
        self.n_layers += 1
        self.output_bytes += output.numel() * output.element_size()


@dataclass(frozen=True)
class Product:
    """What made a linear layer's output, or a selection of its rows: the rows of its input, and its weight.

    A convolution over the whole of its input is a linear layer: of the input's numbers in a row, `(batch, n_features)`.
    """

    features: Tensor
    weight: Tensor


def features_of(logits: Tensor) -> Tensor | None:
    """Return the inputs `(batch, n_features)` of the linear layer that made `logits`, None where none was seen to."""
    product = product_of(logits)
    if product is None or product.features.ndim != 2 or len(product.features) != len(logits):
        return None
    return product.features.detach()


def product_of(output: Any) -> Product | None:
    """Return what made a tensor, None where it was no linear layer or its values were changed in place since."""
    product, version = getattr(output, "_oga_product", (None, 0))
    return product if product is None or output._version == version else None


def _mark(output: Tensor, product: Product) -> None:
    """Note what made a tensor; the note goes when the tensor goes."""
    if not output.is_inference():  # whose changes in place are not counted
        output._oga_product = (product, output._version)  # type: ignore[attr-defined]


def _follow(func: Any, output: Tensor, args: Sequence[Any]) -> None:
    product = product_of(args[0])
    if product is None or output is args[0]:
        return
    name = getattr(func, "__name__", "").partition(".")[0]
    features = product.features
    if _is_one_column(output, args[0]) and (name in _SAME_VALUES or name in _SELECTIONS or name == "unsqueeze"):
        _mark(output, replace(product, features=features.reshape(-1, features.shape[-1])))
        return
    if args[0].ndim > features.ndim:  # of a convolution, `(batch, n_classes, 1, 1)`
        if name in _SAME_VALUES | _MEANS and output.shape[:2].numel() == output.numel() == args[0].numel():
            _mark(output, product)
        return
    if output.shape[-1:] != args[0].shape[-1:]:
        return
    if name in _SAME_VALUES:
        _mark(output, replace(product, features=features.reshape(*output.shape[:-1], features.shape[-1])))
    elif name in _SELECTIONS and not _reaches_the_last_axis(name, args[0].ndim, args[1:]):
        _mark(output, replace(product, features=func(features, *args[1:])))


def _is_one_column(output: Tensor, column: Tensor) -> bool:
    """Whether a layer with one output lost or gets back the axis of its outputs: `(batch, 1)` and `(batch,)`."""
    shapes = {tuple(output.shape), tuple(column.shape)}
    return shapes == {(len(column), 1), (len(column),)} if column.ndim else False


def _is_linear(inputs: Tensor, weight: Tensor, output: Tensor) -> bool:
    """Whether a convolution has one place, which sees all of the input."""
    return inputs.shape[1:] == weight.shape[1:] and output.shape[:2].numel() == output.numel()


def _reaches_the_last_axis(name: str, n_axes: int, args: Sequence[Any]) -> bool:
    """Whether a selection may pick classes: of rows it would be the same for logits and features."""
    if name == "select":
        return not args or int(args[0]) % n_axes == n_axes - 1
    index = args[0] if isinstance(args[0], tuple) or name == "index" else (args[0],)
    parts = [part for part in index if part is not None]
    axes = [part.ndim if isinstance(part, Tensor) and part.dtype == torch.bool else 1 for part in parts]
    rest = [position for position, part in enumerate(parts) if part is Ellipsis]
    whole = isinstance(parts[-1], slice) and parts[-1] == slice(None) if parts else True
    return not whole and ((bool(rest) and rest[0] < len(parts) - 1) or sum(axes) - len(rest) >= n_axes)


def _pool_space(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of each channel in every half of each axis, so quarters of an image: `(batch, channels · 2^axes)`."""
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[inputs.ndim - 3]
    return pool(inputs.float(), 2).flatten(1)


def _pool_tokens(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over all but the first and the last axis, `(batch, channels)`, over counted tokens where there is a mask."""
    if inputs.ndim == 2:
        return inputs.float()
    if mask is not None and inputs.shape[:2] == mask.shape:
        weights = mask.to(torch.float32)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
        return torch.einsum("bt,bt...c->bc", weights, inputs.float())
    return inputs.float().flatten(1, -2).mean(1)


@dataclass(frozen=True)
class Survey:
    """What a first look at a model with a few samples tells: its layers and what one sample takes.

    unlikely: `(samples,)` the class that the model believes in least, None where there are no classes. With these
        labels a self-check is far from the rounding of p - y where a model has learnt its samples by heart.
    """

    n_layers: int
    bytes_per_sample: int
    middle: tuple[int, ...]
    n_output_axes: int
    unlikely: Tensor | None


def survey(forward: Callable[[], Tensor], n_samples: int) -> Survey:
    """Run `forward` once on `n_samples` and count layers and the bytes of their outputs."""
    with torch.no_grad(), ForwardCapture() as capture:
        outputs = forward()
    depths = sorted({int(depth * capture.n_layers) for depth in MIDDLE_DEPTHS} - {0})
    unlikely = outputs.argmin(1) if outputs.ndim == 2 else None
    return Survey(capture.n_layers, max(1, capture.output_bytes // n_samples), tuple(depths), outputs.ndim, unlikely)


def middle_features(pooled: Sequence[Tensor], middle: Sequence[int], sketcher: Sketcher) -> Tensor | None:
    """Join inputs of several depths, each randomly projected where it is wide: `(batch, …, ≤ MIDDLE_SIZE)`."""
    if not pooled or len(pooled) != len(middle) or any(part.shape[:-1] != pooled[0].shape[:-1] for part in pooled):
        return None
    share = MIDDLE_SIZE // len(pooled)
    return torch.cat(
        [sketcher.project(f"middle {depth}", "right", part, share) for depth, part in zip(middle, pooled, strict=True)],
        -1,
    )
