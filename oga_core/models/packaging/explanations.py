"""Why a model cannot be packaged, and where in the user's own code the reason is."""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path

import torch
from torch import nn

from oga_core.errors import OgaError
from oga_core.models.packaging.outputs import first_lines
from oga_core.models.refusals import complex_parameter

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in \w+(?:\n\s+(\S[^\n]*))?')
_TORCH = str(Path(torch.__file__).parent)
_OGA = str(Path(__file__).parents[2])
_PYTHON = sysconfig.get_path("stdlib")


def line_of(trace: str) -> str:
    """Return the innermost line of a stack trace that is the user's or a library's, not torch's: file, line, code."""
    frames = [frame for frame in _FRAME.findall(trace) if not _is_torch(frame[0])]
    if not frames:
        return ""
    path, line, code = frames[-1]
    return f"{Path(path).name}, line {line}" + (f": {code.strip()[:120]}" if code else "")


def place_of(error: BaseException) -> str:
    """Return where an error was raised, as `line_of` says it."""
    trace = "".join(traceback.format_tb(error.__traceback__))
    return line_of(trace) or line_of(str(error))


def _is_torch(path: str) -> bool:
    """Whether a file is torch's, Python's or ours; what is installed beside torch is a library of the user's."""
    if path.startswith((_TORCH, _OGA, "torch/", "<")):
        return True
    return path.startswith(_PYTHON) and "site-packages" not in path


def check_parameters(model: nn.Module) -> None:
    """Raise `OgaError` for parameters that no file gives gradients of as the model does, with lines that change it."""
    for name, parameter in model.named_parameters():
        if parameter.is_complex():
            raise complex_parameter(name)
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.max_norm is not None:
            layer = f'model.get_submodule("{name}")'
            raise OgaError(
                f"The embedding {name} writes into its own weight while it runs (max_norm). Once trained it need not: "
                f"layer = {layer}; layer.weight.data.renorm_({module.norm_type}, 0, {module.max_norm}); "
                "layer.max_norm = None – and package it again."
            )


def export_error(model: nn.Module, error: Exception) -> OgaError:
    """Return what to change in a model that torch.export does not take, and the user's line where it stopped."""
    text = str(error)
    known = text.lower()
    recurrent = sorted({type(module).__name__ for module in model.modules() if isinstance(module, nn.RNNBase)})
    if "data-dependent" in known or "data dependent" in known:
        advice = (
            "Its forward decides in Python by the values of a tensor (an if, a loop, .item(), boolean indexing). Use "
            "torch.where or torch.masked_fill instead, so that the same steps run for every input."
        )
    elif "speciali" in known or "constraint" in known or "constant" in known:
        advice = (
            "Its forward works for one batch size only: a fixed number in view or reshape, or a Python loop over the "
            "batch. Use x.shape[0] or -1 instead of the number, and tensor operations instead of the loop."
        )
    elif "treespec" in known or "not a known type" in known:
        advice = (
            "Its forward gives a class of its own, a named tuple or a data class. Give a tensor, a plain tuple or a "
            "dict of tensors instead, such as {'logits': logits}."
        )
    elif recurrent:
        advice = (
            f"{', '.join(recurrent)} cannot be exported with these inputs. Where texts are packed "
            "(pack_padded_sequence), score the model in memory: oga_core.score(model, dataset)."
        )
    else:
        advice = "Check that model(example) runs; if it does, simplify the step that is named."
    place = place_of(error)
    where = f" It stops in {place}." if place else ""
    return OgaError(
        f"torch.export cannot export this {type(model).__name__}.{where} {advice} Or bring the model's outputs "
        f"(logits and features) instead of the model. torch says: {first_lines(text) or type(error).__name__}"
    )
