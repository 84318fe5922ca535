"""Hostile and broken `.pt2` files: nothing of theirs runs, and each is read harmlessly or refused in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pt2_attacks as attacks
import pytest
import torch
from pt2_attacks import MODEL, WEIGHTS, argument, benign, edited, node, write
from pt2_malformed import MALFORMED, sizes

from oga_core.errors import OgaError
from oga_core.models.pt2.reader import read_pt2

INPUT = torch.ones(3, 1, 4, 4)

REFUSED = {
    "legacy_weights": "weights as a pickle",
    "use_pickle": r"'head\.bias' is stored as a pickle",
    "opaque_obj": "'thing' is a pickled Python object",
    "aoti_so": "compiled code",
    "oldformat": "saved by torch 2.7 or older",
    "target_ossystem": "operator torch.os.system, which is not on the list",
    "train_mode": "exported in training mode",
    "conv_stride_2_31": "stride=.*values from 1 to 4096",
    "conv_padding_1e6": "padding=.*values from 0 to 4096",
}

LOAD_ALL = """
import sys, torch
from pathlib import Path
for path in sys.argv[1:]:
    sys.path.insert(0, str(Path(path).parent))
    try:
        torch.export.load(path).module()(torch.ones(2, 1, 4, 4))
    except Exception as error:
        print(path, error)
"""


def build(name: str, folder: Path) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    path, marker = folder / "model.pt2", folder / "marker"
    attacks.ATTACKS[name][0](path, marker)
    return path, marker


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_payload_is_never_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, marker = build(name, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    if name in REFUSED:
        with pytest.raises(OgaError, match=REFUSED[name]):
            read_pt2(path)
    else:
        module, _ = read_pt2(path)
        assert module(INPUT).shape == (3, 3)
    assert not marker.exists()


def test_payloads_do_run_in_torch_export_load(tmp_path: Path) -> None:
    """The attacks are real: torch's own loader runs those that are marked so."""
    names = [name for name, (_, runs) in attacks.ATTACKS.items() if runs]
    built = {name: build(name, tmp_path / name) for name in names}
    paths = [str(path) for path, _ in built.values()]
    result = subprocess.run([sys.executable, "-c", LOAD_ALL, *paths], capture_output=True, text=True, timeout=120)
    ran = {name for name, (_, marker) in built.items() if marker.exists()}
    assert ran == set(names), result.stdout + result.stderr


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_file_is_refused_in_words(name: str, tmp_path: Path) -> None:
    make, message = MALFORMED[name]
    path = tmp_path / "model.pt2"
    make(path)
    with pytest.raises(OgaError, match=message):
        read_pt2(path)


def test_many_names_for_one_weight_do_not_fill_the_memory(tmp_path: Path) -> None:
    def change(content: Any) -> None:
        big = content["config"]["big"] = json.loads(json.dumps(content["config"]["head.bias"]))
        big["path_name"] = "weight_50"
        for i in range(200):
            copy = content["config"][f"copy_{i}"] = json.loads(json.dumps(big))
            copy["tensor_meta"] |= {"sizes": sizes(2**20 - i), "strides": sizes(1)}

    path = write(
        tmp_path / "model.pt2", edited(benign(), WEIGHTS, change) | {"data/weights/weight_50": bytes(4 * 2**20)}
    )
    with pytest.raises(OgaError, match="much larger than the file"):
        read_pt2(path)


def test_sizes_that_double_their_digits_are_not_computed(tmp_path: Path) -> None:
    """34 squarings, each of the one before, make a number of ten billion digits."""

    def change(content: Any) -> None:
        graph = content["graph_module"]["graph"]
        squares, before = [], {"as_sym_int": {"as_int": 3}}
        for number in range(34):
            factors = [{"name": "", "arg": before, "kind": 1}] * 2
            after = {"as_name": f"square_{number}"}
            squares.append({"target": "_operator.mul", "inputs": factors, "outputs": [{"as_sym_int": after}]})
            before = {"as_sym_int": after}
        graph["nodes"][:0] = squares
        argument(content, "flatten", "start_dim", before)

    module, _ = read_pt2(write(tmp_path / "model.pt2", edited(benign(), MODEL, change)))
    with pytest.raises(OgaError, match="more than 64 bits"):
        module(INPUT)


@pytest.mark.parametrize(
    ("operator", "inputs", "message"),
    [
        ("zeros.default", {"size": {"as_ints": [10**6, 10**6]}}, "larger than"),
        ("arange.default", {"end": {"as_int": 10**12}}, "larger than"),
        (
            "linspace.default",
            {"start": {"as_int": 0}, "end": {"as_int": 1}, "steps": {"as_int": 10**12}},
            "larger than",
        ),
    ],
)
def test_giant_tensor_is_refused_when_it_would_be_made(
    operator: str, inputs: dict[str, Any], message: str, tmp_path: Path
) -> None:
    def change(content: Any) -> None:
        graph = content["graph_module"]["graph"]
        arguments = [{"name": name, "arg": value, "kind": 1} for name, value in inputs.items()]
        giant = {
            "target": f"torch.ops.aten.{operator}",
            "inputs": arguments,
            "outputs": [{"as_tensor": {"name": "giant"}}],
        }
        graph["nodes"].insert(0, giant)
        relu = node(content, "relu")
        relu["target"], relu["inputs"] = "torch.ops.aten.add.Tensor", [*relu["inputs"], dict(relu["inputs"][0])]
        relu["inputs"][1] = {"name": "other", "arg": {"as_tensor": {"name": "giant"}}, "kind": 1}

    module, _ = read_pt2(write(tmp_path / "model.pt2", edited(benign(), MODEL, change)))
    with pytest.raises(OgaError, match=message):
        module(INPUT)
