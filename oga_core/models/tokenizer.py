"""Tokenizers: of a folder, or packed into a `.pt2` file; no code of theirs is run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oga_core.errors import OgaError
from oga_core.models.folders import TOKENIZER_FILES, read_json
from oga_core.models.refusals import panics_as_errors, reason
from oga_core.models.tokenizer_files import check_tokenizer_files

os.environ["HF_HUB_OFFLINE"] = "1"

_ANY_TYPE = ""  # the type of no model: then the tokenizer's own settings name its class
_PACKED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_PLACE = "tokenizer/"


def load_tokenizer(folder: Path, model_type: str = _ANY_TYPE, origin: str | None = None) -> Any:
    """Load the tokenizer from copies of its known files, without the key that names code.

    origin: what error messages call the folder.
    """
    from transformers import AutoTokenizer

    present = [folder / name for name in sorted(TOKENIZER_FILES) if (folder / name).is_file()]
    if not present:
        raise OgaError(
            f"{folder.name} has no tokenizer. Save it into the same folder: tokenizer.save_pretrained(folder)."
        )
    check_tokenizer_files(folder)
    with TemporaryDirectory(prefix="oga-", ignore_cleanup_errors=True) as clean:
        for path in present:
            shutil.copyfile(path, Path(clean, path.name))
        settings = Path(clean, "tokenizer_config.json")
        if settings.exists():
            plain = {
                key: value for key, value in read_json(settings).items() if key not in ("auto_map", "trust_remote_code")
            }
            settings.write_text(json.dumps(plain), encoding="utf-8")
        Path(clean, "config.json").write_text(json.dumps({"model_type": model_type}), encoding="utf-8")
        try:
            with panics_as_errors():
                tokenizer = AutoTokenizer.from_pretrained(clean, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # tokenizer libraries raise anything, down to bare Exception
            raise OgaError(
                f"The tokenizer in {origin or folder.name} cannot be loaded: {reason(error)}. "
                "Save it again: tokenizer.save_pretrained(folder)."
            ) from None
    if tokenizer.pad_token_id is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def packed_tokenizer(path: Path, folder: Path | None = None) -> Any:
    """Load the tokenizer inside a `.pt2` file, else the one in its folder; None where there is neither."""
    from oga_core.models.pt2.archive import MAX_JSON_BYTES, Archive

    with Archive(path) as archive:
        places = {name: f"extra/{_PLACE}{name}" for name in _PACKED}
        files = {name: archive.read(place, MAX_JSON_BYTES) for name, place in places.items() if place in archive}
    if "tokenizer.json" in files:
        with TemporaryDirectory(prefix="oga-", ignore_cleanup_errors=True) as inside:
            for name, content in files.items():
                Path(inside, name).write_bytes(content)
            return load_tokenizer(Path(inside), origin=path.name)
    if folder is not None and any((folder / name).is_file() for name in TOKENIZER_FILES):
        return load_tokenizer(folder, origin=path.name)
    return None


def tokenizer_entries(tokenizer: Any) -> dict[str, str]:
    """Return the extra files that make a `.pt2` hold this tokenizer. Raises `OgaError` for one without tokenizer.json.

    tokenizer: what AutoTokenizer.from_pretrained gives.
    """
    with TemporaryDirectory(prefix="oga-", ignore_cleanup_errors=True) as folder:
        try:
            tokenizer.save_pretrained(folder)
        except Exception as error:  # whatever is given here, and tokenizer libraries raise anything
            raise OgaError(
                f"'tokenizer' must be a tokenizer of transformers, got {type(tokenizer).__name__} "
                f"({reason(error)}). Give AutoTokenizer.from_pretrained(…)."
            ) from None
        files = {name: Path(folder, name) for name in _PACKED if Path(folder, name).is_file()}
        if "tokenizer.json" not in files:
            raise OgaError(
                f"The {type(tokenizer).__name__} saves no tokenizer.json, which a .pt2 file needs. Give its fast form, "
                "AutoTokenizer.from_pretrained(…), or put the .pt2 file and tokenizer.save_pretrained(folder) into one "
                "folder and give the folder."
            )
        return {_PLACE + name: file.read_text(encoding="utf-8") for name, file in files.items()}
