"""Attacks in skops files, and in ONNX files with external data: the location is what attacks."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attack_files import ATTACKS, Attack, Payload, attack, rewrite


def skops_file(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Save a logistic regression and change its schema."""
    import numpy as np
    import skops.io
    from sklearn.linear_model import LogisticRegression

    path = folder / "model.skops"
    skops.io.dump(LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]), path)

    def edit(name: str, content: bytes) -> bytes:
        if name != "schema.json":
            return content
        schema = json.loads(content)
        change(schema)
        return json.dumps(schema).encode()

    return rewrite(path, edit)


@attack("holds types that are never loaded: .*system")
def skops_root_class(folder: Path, marker: Path) -> Path:
    return skops_file(folder, lambda schema: schema.update(__class__="system", __module__="posix"))


@attack("holds types that are never loaded|cannot be loaded")
def skops_function_node(folder: Path, marker: Path) -> Path:
    def change(schema: dict[str, Any]) -> None:
        function = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode", "__id__": 7}
        schema["content"]["content"]["C"] = function

    return skops_file(folder, change)


@attack("cannot be loaded")
def skops_object_array(folder: Path, marker: Path) -> Path:
    import numpy as np

    path = skops_file(folder, lambda schema: None)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    return rewrite(path, lambda name, content: buffer.getvalue() if name.endswith(".npy") else content)


@attack("has no gradient")
def skops_forest(folder: Path, marker: Path) -> Path:
    import numpy as np
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    skops.io.dump(RandomForestClassifier(2).fit(np.eye(4), [0, 1, 0, 1]), folder / "model.skops")
    return folder / "model.skops"


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _onnx(location: str) -> Callable[[Path, Path], Path]:
    def build(folder: Path, marker: Path) -> Path:
        external = _field(1, b"location") + _field(2, location.encode())
        tensor = b"\x08\x04\x10\x01" + _field(8, b"weight") + _field(13, external) + b"\x70\x01"
        (folder / "model.onnx").write_bytes(b"\x08\x08" + _field(7, _field(5, tensor)))
        if location == "link":
            os.symlink("/etc/hostname", folder / "link")
        if location == "hard":  # of a file outside the model's folder; links of /etc fail across file systems
            secret = folder.with_name(f"{folder.name}.secret")
            secret.write_text("secret")
            os.link(secret, folder / "hard")
        return folder / "model.onnx"

    return build


for _name, _location in (
    ("parent", "../../../etc/hostname"),
    ("absolute", "/etc/hostname"),
    ("symlink", "link"),
    ("hard_link", "hard"),
):
    ATTACKS[f"onnx_{_name}"] = Attack(_onnx(_location), "is an ONNX model")
