"""What belongs to a model folder in the Hugging Face and PEFT formats; plain files, no library."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from oga_core.errors import OgaError
from oga_core.models.refusals import refusal

# fmt: off
TOKENIZER_FILES = frozenset({
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
    "chat_template.jinja",
})
# fmt: on
_FILES = TOKENIZER_FILES | {
    "config.json",
    "oga.json",
    "preprocessor_config.json",
    "adapter_config.json",
    "model.safetensors.index.json",
}
_MAX_JSON = 16 << 20


def is_model_file(name: PurePosixPath) -> bool:
    """Tell the files of a zipped folder that are of use: the known names and safetensors, at most one folder deep."""
    return len(name.parts) <= 2 and (name.name in _FILES or name.suffix == ".safetensors")


def is_model_part(name: str, content: Mapping[str, Any]) -> bool:
    """Tell a file of JSON that belongs to a model folder, by its name or by what it says."""
    says = {"model_type", "architectures", "peft_type", "weight_map", "tokenizer_class", "added_tokens"}
    return name in _FILES or not says.isdisjoint(content)


def read_json(path: Path, limit: int = _MAX_JSON) -> dict[str, Any]:
    """Read a JSON object of at most `limit` bytes. Raises `OgaError`."""
    try:
        if path.stat().st_size > limit:
            raise OgaError(f"{path.name} is larger than {limit >> 20} MB, so it is no configuration.")
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise OgaError(f"The model folder has no {path.name}. Save it with model.save_pretrained(folder).") from None
    except (ValueError, RecursionError) as error:
        raise OgaError(f"{path.name} is not valid JSON: {error}. Save the model again.") from None
    if not isinstance(content, dict):
        raise OgaError(f"{path.name} must be a JSON object. Save the model again.")
    return content


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder: the one, or the shards that its index names. Raises `OgaError`."""
    single = folder / "model.safetensors"
    index = folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        shards = read_json(index).get("weight_map")
        names = sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else []
        for name in names:
            if Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
                raise OgaError(f"{index.name} names the shard {name!r}, which is outside the model's folder.")
            if not (folder / name).is_file():
                raise OgaError(f"{folder.name} lacks the shard {name!r} that {index.name} names. Copy it there.")
        if names:
            return [folder / name for name in names]
    if list(folder.glob("*.bin")):
        raise refusal("bin", folder)
    raise OgaError(f"{folder.name} has no model.safetensors. Save the model with model.save_pretrained(folder).")


def find_base(folder: Path, adapter: dict[str, Any]) -> Path:
    """Return the base model's folder, inside or beside the adapter; a path that an uploaded file names is not followed.

    adapter: the content of adapter_config.json. Raises `OgaError` when the base is in neither place.
    """
    named = Path(str(adapter.get("base_model_name_or_path") or "").replace("\\", "/")).name
    candidates = [folder / "base", *([folder / named, folder.parent / named] if named not in ("", "..") else [])]
    for candidate in candidates:
        if candidate != folder and (candidate / "config.json").is_file():
            return candidate
    raise OgaError(
        f"The base model of the adapter {folder.name} ({named or 'not named'}) is not there. Save it into the "
        f"adapter's subfolder 'base': base_model.save_pretrained('{folder.name}/base'), with its tokenizer."
    )


def files_of(path: Path) -> list[Path]:
    """Return what loading this model opens: itself, a card beside it, an adapter's base, the hub cache's blobs.

    Of links in folders, those to weights, tokenizer and configuration are followed, and no others.
    """
    files = _opened(path)
    inside = (entry for folder in files if folder.is_dir() and folder.name != "blobs" for entry in folder.iterdir())
    links = (entry for entry in inside if entry.is_symlink() and is_model_file(PurePosixPath(entry.name)))
    return list(dict.fromkeys([*files, *(link.resolve() for link in links)]))


def _opened(path: Path) -> list[Path]:
    files = [path, path.with_suffix(".json")]
    if (path / "adapter_config.json").is_file():
        with contextlib.suppress(OgaError):  # said again, and to the person, when the model is loaded
            files += _opened(find_base(path, read_json(path / "adapter_config.json")))
    if path.parent.name == "snapshots":
        files.append(path.parent.parent / "blobs")
    return files
