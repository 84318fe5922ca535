"""Which kind of model a file or folder is, told by its content alone; no library is loaded for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from oga_core.errors import OgaError
from oga_core.models.archive import common_root, open_zip

ZIPPED = (".pt2", ".safetensors", ".pt", ".pth", ".skops")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_GGUF = b"GGUF"
_PICKLE = b"\x80"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"ZF")  # joblib


def model_format(path: Path) -> str:
    """Tell by content: `pt2`, `huggingface`, `peft`, `safetensors`, `state_dict`, `skops`, `zip` or one of `REFUSALS`.

    `zip`: one model file, perhaps with its card and tokenizer. `pt2_folder`: a folder with one .pt2 file, likewise.
    """
    if path.is_dir():
        return _folder_format(path)
    if not path.is_file():
        raise OgaError(f"There is no model at {path}. Give a model file or folder.")
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(_ZIP):
        return _zip_format(path)
    if start.startswith(_HDF5):
        return "keras"
    if start.startswith(_GGUF):
        return "gguf"
    if start[8:9] == b"{" or path.suffix == ".safetensors":
        return "safetensors"
    if start[257:262] == b"ustar":
        return "tar"
    if start.startswith((_PICKLE, *_COMPRESSED)) or path.suffix in (".pkl", ".pickle", ".joblib", ".pt", ".pth"):
        return "pickle"
    return "onnx" if path.suffix == ".onnx" else "unknown"


def _folder_format(path: Path) -> str:
    if (path / "config.json").is_file():
        return "huggingface"
    if (path / "adapter_config.json").is_file():
        return "peft"
    if (path / "saved_model.pb").is_file():
        return "keras"
    packaged = sorted(file.name for file in path.glob("*.pt2"))
    if len(packaged) == 1:
        return "pt2_folder"
    if packaged:
        raise OgaError(
            f"The folder {path.name} holds {len(packaged)} .pt2 files ({', '.join(packaged[:4])}). Leave one in it, or "
            "give the file itself."
        )
    raise OgaError(
        f"The folder {path.name} holds no config.json (Hugging Face), no adapter_config.json (PEFT) and no .pt2 file. "
        "Save the model there with model.save_pretrained(folder), or give a model file."
    )


def _zip_format(path: Path) -> str:
    with open_zip(path) as archive:
        return zip_format(archive.namelist(), path.suffix)


def zip_format(members: Sequence[str], suffix: str) -> str:
    """Tell the kind of model by the names in a zip; `suffix` is the ending of its own name."""
    files = [name for name in members if not name.endswith("/") and not name.startswith("__MACOSX/")]
    root = common_root(files)
    names = {PurePosixPath(name).relative_to(root).as_posix() for name in files}
    if "models/model.json" in names or "archive_format" in names or "serialized_exported_program.json" in names:
        return "pt2"
    if "data.pkl" in names:
        torchscript = "constants.pkl" in names or any(name.startswith("code/") for name in names)
        return "torchscript" if torchscript else "bin" if suffix == ".bin" else "state_dict"
    if any(name.startswith(".data/") for name in names):
        return "package"
    if "schema.json" in names:
        return "skops"
    if "model.weights.h5" in names or "saved_model.pb" in names:
        return "keras"
    if "config.json" in names:
        return "huggingface"
    if "adapter_config.json" in names:
        return "peft"
    if len([name for name in names if PurePosixPath(name).suffix in ZIPPED]) == 1:
        return "zip"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "unknown"
