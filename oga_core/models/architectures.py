"""A small list of network architectures, so that plain weights can be loaded without anybody's code.

Each class reads top to bottom and recognises its own weights by their names and shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError, unknown

Shapes = Mapping[str, tuple[int, ...]]
Options = Mapping[str, Any]

_PACKAGE = "oga_core.package_model(model, example_batch, 'model.pt2', classes=[…])"
_EXAMPLE = '"architecture": {"name": "mlp", "activation": "relu"}'
_ADVICE = f"Name the right architecture in the model card, or save the model with its architecture: {_PACKAGE}."

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "identity": nn.Identity,
}


class Linear(nn.Linear):
    """One linear layer on the flattened input: softmax regression. Keys `weight`, `bias`."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))  # (batch, n_features) -> (batch, n_classes)


class MLP(nn.Sequential):
    """Linear layers with an activation between them on the flattened input. Keys `0.weight`, `0.bias`, `2.weight`, …

    sizes: the width of the input, of every hidden layer and of the output.
    """

    def __init__(self, sizes: Sequence[int], activation: str = "relu"):
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class SmallCNN(nn.Module):
    """Convolutions 3x3 with ReLU, halved after each but the last, then the mean over the image and a linear layer."""

    def __init__(self, widths: Sequence[int], channels: int, n_classes: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(n_in, n_out, 3, padding=1) for n_in, n_out in pairwise([channels, *widths])
        )
        self.fc = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        for i, convolution in enumerate(self.convolutions):
            x = nn.functional.max_pool2d(x, 2) if i else x
            x = nn.functional.relu(convolution(x))
        return self.fc(x.mean(dim=(2, 3)))


def _convolution(n_in: int, n_out: int, size: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(n_out)]


class Block(nn.Module):
    """Residual block: two convolutions `a` and `b`, and a 1x1 convolution `sc` on the short cut."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.a = nn.Sequential(*_convolution(n_in, n_out, 3, stride), nn.ReLU(inplace=True))
        self.b = nn.Sequential(*_convolution(n_out, n_out, 3, 1))
        self.sc = nn.Sequential(*_convolution(n_in, n_out, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.b(self.a(x)) + self.sc(x))


class ResNet(nn.Module):
    """A narrow residual network for small images: a stem, then blocks that halve the image. Keys `body.*`, `fc.*`."""

    def __init__(self, widths: Sequence[int], channels: int, n_classes: int):
        super().__init__()
        stem = nn.Sequential(*_convolution(channels, widths[0], 3, 1), nn.ReLU(inplace=True))
        self.body = nn.Sequential(stem, *(Block(n_in, n_out, 2) for n_in, n_out in pairwise(widths)))
        self.fc = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)  # (batch, widths[-1], height / 2**n_blocks, width / 2**n_blocks)
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class BasicBlock(nn.Module):
    """torchvision's BasicBlock, by name and by arithmetic."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = _convolution(n_in, n_out, 3, stride)
        self.conv2, self.bn2 = _convolution(n_out, n_out, 3, 1)
        changes = stride != 1 or n_in != n_out
        self.downsample = nn.Sequential(*_convolution(n_in, n_out, 1, stride)) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = nn.functional.relu(self.bn1(self.conv1(x)))
        return nn.functional.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(nn.Module):
    """torchvision's resnet18, with its names. stem: 7 as in torchvision (7x7, stride 2, then max pooling), or 3 for
    small images (3x3, stride 1, no pooling).
    """

    def __init__(self, channels: int, n_classes: int, stem: int):
        super().__init__()
        self.conv1, self.bn1 = _convolution(channels, 64, stem, 2 if stem == 7 else 1)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == 7 else nn.Identity()
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.fc = nn.Linear(512, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(nn.functional.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


def _linear(shapes: Shapes, _: Options) -> nn.Module:
    n_classes, n_features = shapes["weight"]
    return Linear(n_features, n_classes, bias="bias" in shapes)


def _mlp(shapes: Shapes, options: Options) -> nn.Module:
    weights = [shapes[f"{2 * i}.weight"] for i in range(len(shapes) // 2)]
    activation = str(options.get("activation", "relu"))
    if activation not in ACTIVATIONS:
        raise unknown("activation in the model card:", activation, ACTIVATIONS)
    return MLP([weights[0][1], *(n_out for n_out, _ in weights)], activation)


def _small_cnn(shapes: Shapes, _: Options) -> nn.Module:
    weights = [shapes[f"convolutions.{i}.weight"] for i in range(len(shapes) // 2 - 1)]
    return SmallCNN([weight[0] for weight in weights], weights[0][1], shapes["fc.weight"][0])


def _resnet(shapes: Shapes, _: Options) -> nn.Module:
    width, channels, _height, _width = shapes["body.0.0.weight"]
    n_blocks = sum(name.endswith(".sc.0.weight") for name in shapes)
    widths = [width, *(shapes[f"body.{i + 1}.sc.0.weight"][0] for i in range(n_blocks))]
    return ResNet(widths, channels, shapes["fc.weight"][0])


def _resnet18(shapes: Shapes, _: Options) -> nn.Module:
    _width, channels, stem, _height = shapes["conv1.weight"]
    return ResNet18(channels, shapes["fc.weight"][0], stem)


# What a network leaves open (widths, number of classes) is in the shapes of its weights.
ARCHITECTURES: dict[str, Callable[[Shapes, Options], nn.Module]] = {
    "linear": _linear,
    "mlp": _mlp,
    "small_cnn": _small_cnn,
    "resnet": _resnet,
    "resnet18": _resnet18,
}
# An MLP's activation is not in its weights, so the model card must name it.
_RECOGNISED = ("linear", "small_cnn", "resnet", "resnet18")


def build(shapes: Shapes, architecture: Options | None = None) -> tuple[str, nn.Module]:
    """Return name and network for weights of these shapes: the named architecture, else the one they fit.

    The network is on the `meta` device: it takes no memory until its weights are assigned.
    architecture: `{"name": …}` of the model card; an `mlp` takes `activation` (relu). Raises `OgaError` with the
    tensors that do not fit.
    """
    if architecture is not None:
        name = str(architecture.get("name"))
        if name not in ARCHITECTURES:
            raise unknown("architecture in the model card:", name, ARCHITECTURES)
        return name, _fitting(name, shapes, architecture)
    for name in _RECOGNISED:
        try:
            return name, _fitting(name, shapes, {})
        except OgaError:
            continue
    raise OgaError(
        f"These weights ({_some(sorted(shapes))}) are not of an architecture that OGA recognises. Name one of "
        f"{', '.join(ARCHITECTURES)} in the model card ({_EXAMPLE}), or save the model with its architecture: "
        f"{_PACKAGE}."
    )


def _fitting(name: str, shapes: Shapes, options: Options) -> nn.Module:
    try:
        with torch.device("meta"):
            module = ARCHITECTURES[name](shapes, options)
    except (KeyError, ValueError, IndexError, TypeError, RuntimeError) as error:
        reason = (
            f"there is no tensor {error}" if isinstance(error, KeyError) else "the shapes are not those of this network"
        )
        raise OgaError(f"The weights do not fit the architecture {name!r}: {reason}. {_ADVICE}") from None
    wanted = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    problems = [f"missing {key}" for key in wanted if key not in shapes]
    problems += [f"unexpected {key}" for key in shapes if key not in wanted]
    for key in wanted.keys() & shapes.keys():
        if shapes[key] != wanted[key]:
            problems.append(f"{key} is {list(shapes[key])}, not {list(wanted[key])}")
    if problems:
        raise OgaError(f"The weights do not fit the architecture {name!r}: {_some(problems)}. {_ADVICE}")
    return module


def _some(names: Sequence[str], shown: int = 4) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
