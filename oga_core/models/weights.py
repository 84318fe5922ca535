"""Weights by name: safetensors, or a state dict that torch.save wrote."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.archive import open_zip
from oga_core.models.formats import model_format
from oga_core.models.refusals import PACKAGE, STATE_DICT, reason
from oga_core.models.safetensors import Weights, is_safetensors, read_safetensors

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights", "ema", "module")
_PREFIXES = ("module.", "_orig_mod.")  # DataParallel, torch.compile
_LIGHTNING = "pytorch-lightning_version"
_KINDS = {
    "pt2": "an exported program",
    "pt2_folder": "a folder with an exported program",
    "zip": "a zip around a model",
    "huggingface": "a Hugging Face model",
    "peft": "a PEFT adapter",
    "skops": "a scikit-learn model",
    "torchscript": "a TorchScript archive",
    "pickle": "a pickle",
    "bin": "a pickle",
}
_FIRST_SAFE_TORCH = (2, 10)  # CVE-2026-24747: memory corruption in torch.load before it


def assign(module: nn.Module, weights: Weights, origin: str) -> None:
    """Copy weights into a network of the same names and shapes. Raises `OgaError` naming those that differ."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    # Old checkpoints lack batch norm's counter, which no arithmetic in eval mode uses.
    lacking = {name for name in wanted.keys() - shapes.keys() if not name.endswith("num_batches_tracked")}
    different = sorted(
        lacking | (shapes.keys() - wanted.keys()) | {name for name in shapes if wanted.get(name) != shapes[name]}
    )
    if different:
        raise OgaError(
            f"The weights in {origin} are of another network: {', '.join(different[:4])} differ in name or shape."
        )
    module.load_state_dict(weights, strict=False)


def read_weights(path: Path) -> Weights:
    """Read named tensors from safetensors or a `weights_only` state dict; floating ones become float32.

    Raises `OgaError` for other kinds of file, for damaged ones, and for anything in them that is not a plain tensor.
    """
    kind = model_format(path)
    if kind not in ("safetensors", "state_dict"):
        raise OgaError(
            f"{path.name} does not hold weights alone: it is {_KINDS.get(kind, 'something else')}. A checkpoint must "
            "be .safetensors or a .pt state dict of the same network: torch.save(model.state_dict(), 'epoch_1.pt')."
        )
    weights = read_safetensors(path) if is_safetensors(path) else _read_state_dict(path)
    return {
        name: tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in weights.items()
    }


def _read_state_dict(path: Path) -> Weights:
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < _FIRST_SAFE_TORCH:
        raise OgaError(
            f"torch {torch.__version__} cannot read {path.name} safely; 2.10 or newer can. Update torch, or save the "
            "weights as safetensors: from safetensors.torch import save_file; "
            "save_file(model.state_dict(), 'model.safetensors')."
        )
    with open_zip(path, stored_only=True):
        pass
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except pickle.UnpicklingError:
        raise _not_weights_only(path) from None
    except Exception as error:  # a damaged pickle makes any part of the reader fail
        raise OgaError(f"{path.name} cannot be read: {reason(error)}. Save the weights again.") from None
    return _plain(_unwrapped(content, path), path)


def _not_weights_only(path: Path) -> OgaError:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception:  # whatever a crafted pickle makes of the lister, the answer is the same refusal
        names = []
    what = f" ({', '.join(names[:4])})" if names else ""
    return OgaError(
        f"{path.name} holds more than weights{what}: Python objects, which are never loaded. Where the model's Python "
        f"code is, write: {PACKAGE} – or, for a network of the built-in list, save its weights alone: {STATE_DICT}"
    )


def _unwrapped(content: Any, path: Path) -> Mapping[str, Any]:
    """Find the state dict in a checkpoint."""
    is_lightning = isinstance(content, Mapping) and _LIGHTNING in content
    while isinstance(content, Mapping) and not any(isinstance(value, Tensor) for value in content.values()):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        words = (
            f"a dict with {', '.join(map(repr, list(content)[:5]))}"
            if isinstance(content, Mapping)
            else type(content).__name__
        )
        raise OgaError(
            f"{path.name} holds no state dict but {words}. Save torch.save(model.state_dict(), 'weights.pt')."
        )
    return _without_attribute(content) if is_lightning else content


def _without_attribute(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Weights without the name of the LightningModule's attribute that holds the network, where all are below one."""
    attributes = {str(name).partition(".")[0] for name in content}
    return content if len(attributes) > 1 else {str(name).partition(".")[2]: value for name, value in content.items()}


def _plain(content: Mapping[str, Any], path: Path) -> Weights:
    """Keep dense tensors that the file really holds; the rest has crashed native code or outgrown memory before."""
    weights: Weights = {}
    available = 4 * path.stat().st_size  # tied weights are stored once and appear more than once
    for name, tensor in content.items():
        dense = (
            type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided and tensor.device.type == "cpu"
        )
        if not isinstance(name, str) or not dense or tensor.is_quantized or tensor.is_complex():
            kind = tensor.layout if isinstance(tensor, Tensor) else type(tensor).__name__
            raise OgaError(
                f"{path.name} holds {str(name)!r}, which is not a dense tensor ({kind}). Save model.state_dict() alone."
            )
        available -= tensor.numel() * tensor.element_size()
        if available < 0:
            raise OgaError(
                f"{path.name} holds {name!r} of shape {list(tensor.shape)}, which is larger than the file itself."
            )
        weights[name] = tensor.detach()
    for prefix in _PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights
