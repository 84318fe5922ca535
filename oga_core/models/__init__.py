"""Loading uploaded models without running any code of theirs."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from oga_core.errors import OgaError
from oga_core.models.archive import common_root, open_zip, unpacked
from oga_core.models.card import ModelCard
from oga_core.models.folders import files_of, is_model_file
from oga_core.models.refusals import REFUSALS, refusal

if TYPE_CHECKING:  # torch takes seconds to import, and naming a format does not need it
    from torch import nn

    from oga_core.models.loaded import LoadedModel

__all__ = ["ModelCard", "files_of", "load_model", "load_weights", "model_format"]

_ZIPPED = (".pt2", ".safetensors", ".pt", ".pth", ".skops")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HDF5, _GGUF, _PICKLE = b"\x89HDF\r\n\x1a\n", b"GGUF", b"\x80"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"ZF")  # joblib


def load_model(path: Path | str, card: ModelCard | None = None, *, base: Path | str | None = None) -> LoadedModel:
    """Load a model by what its file or folder holds, whatever it is called.

    card: what the person says about the model; it wins over a card in or beside the model. base: the folder of the
    model that a PEFT adapter belongs to. Raises `OgaError` for what is not loadable without running its code.
    """
    path = Path(path)
    kind = model_format(path)
    if kind in REFUSALS:
        raise refusal(kind, path)
    if kind == "zip":
        return _load_zipped(path, card)
    if kind == "pt2":
        return _load_pt2(path, card)
    if kind in ("huggingface", "peft"):
        return _load_folder(path, kind, card, Path(base) if base else None)
    card = card or ModelCard.beside(path)
    if kind == "skops":
        from oga_core.models.sklearn import load_skops

        return load_skops(path, card)
    from oga_core.models.weights import load_plain_weights

    return load_plain_weights(path, card)


def load_weights(module: nn.Module, path: Path | str) -> None:
    """Replace the weights of a loaded model by those of a checkpoint of the same network, as float32.

    Raises `OgaError` when names or shapes differ.
    """
    from oga_core.models.weights import assign, read_weights

    path = Path(path)
    kind = model_format(path)
    if kind not in ("safetensors", "state_dict"):
        raise OgaError(f"The checkpoint {path.name} must be .safetensors or .pt weights.")
    assign(module, read_weights(path), path.name)


def model_format(path: Path) -> str:
    """Tell by content: `pt2`, `huggingface`, `peft`, `safetensors`, `state_dict`, `skops`, `zip` or one of `REFUSALS`.

    `zip`: one model file, perhaps with its card.
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
    raise OgaError(
        f"The folder {path.name} holds no config.json (Hugging Face) and no adapter_config.json (PEFT). Save the model "
        "there with model.save_pretrained(folder), or give a model file."
    )


def _zip_format(path: Path) -> str:
    with open_zip(path) as archive:
        files = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    root = common_root(files)
    names = {PurePosixPath(name).relative_to(root).as_posix() for name in files}
    if "models/model.json" in names or "archive_format" in names or "serialized_exported_program.json" in names:
        return "pt2"
    if "data.pkl" in names:
        torchscript = "constants.pkl" in names or any(name.startswith("code/") for name in names)
        return "torchscript" if torchscript else "bin" if path.suffix == ".bin" else "state_dict"
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
    if len([name for name in names if PurePosixPath(name).suffix in _ZIPPED]) == 1:
        return "zip"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "unknown"


def _load_zipped(path: Path, card: ModelCard | None) -> LoadedModel:
    def wanted(name: PurePosixPath) -> bool:
        return len(name.parts) == 1 and name.suffix in (*_ZIPPED, ".json")

    card = card or ModelCard.beside(path)
    with unpacked(path, wanted) as folder:
        inside = [file for file in folder.iterdir() if file.suffix in _ZIPPED]
        if len(inside) != 1 or model_format(inside[0]) == "zip":
            raise OgaError(f"{path.name} must hold one model file, not in folders and not zipped again.")
        return load_model(inside[0], card)


def _load_pt2(path: Path, card: ModelCard | None) -> LoadedModel:
    from oga_core.models.pt2 import read_pt2

    module, inside = read_pt2(path)
    from oga_core.models.loaded import LoadedModel

    card = card or inside or ModelCard.beside(path)
    if card is None:
        raise OgaError(
            f"{path.name} has no model card. Write {path.stem}.json beside it, or fill the card in on the page: "
            '{"modality": "image", "classes": ["…", "…"], "input": {"image_size": [32, 32]}}'
        )
    return LoadedModel(module.eval(), card, "pt2", notes=module.notes)


def _load_folder(path: Path, kind: str, card: ModelCard | None, base: Path | None) -> LoadedModel:
    from oga_core.models.huggingface import load_huggingface

    if path.is_file():
        card = card or ModelCard.beside(path)
        with unpacked(path, is_model_file) as folder:
            return _load_folder(folder, kind, card, base)
    if kind == "huggingface":
        return load_huggingface(path, card)
    from oga_core.models.peft import load_peft

    return load_peft(path, card, base)
