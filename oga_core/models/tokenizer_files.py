"""Tokenizer files, looked at before the library opens them: what would make it abort or work for minutes is refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.models.folders import read_json

MAX_ADDED_TOKENS = 20_000  # they are added one by one, in quadratic time; real tokenizers have up to 7,000
_MAX_BYTES = 256 << 20  # vocabularies of a quarter of a million words take 35 MB
_SAVE = "Save it again: tokenizer.save_pretrained(folder)."


def check_tokenizer_files(folder: Path) -> None:
    """Raise `OgaError` for too many added tokens and for a precompiled_charsmap that is not whole."""
    for name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            content = read_json(folder / name, _MAX_BYTES)
            parts = [content] if name == "added_tokens.json" else [content.get(key) for key in _ADDED]
            for part in parts:
                _check_added(part, name)
            for charsmap in _charsmaps(content.get("normalizer")):
                _check_charsmap(charsmap, name)


_ADDED = ("added_tokens", "added_tokens_decoder", "additional_special_tokens", "extra_special_tokens")


def _check_added(part: Any, name: str) -> None:
    if isinstance(part, (list, dict)) and len(part) > MAX_ADDED_TOKENS:
        raise OgaError(
            f"{name} has {len(part):,} added tokens; at most {MAX_ADDED_TOKENS:,} are read. Put them into the "
            "vocabulary of the tokenizer's model instead."
        )


def _charsmaps(normalizer: Any, depth: int = 0) -> Iterator[Any]:
    """Find every precompiled_charsmap in a normalizer, which may be a sequence of others."""
    if depth > 64:
        raise OgaError(f"The tokenizer's normalizer is nested too deeply. {_SAVE}")
    if isinstance(normalizer, dict):
        if "precompiled_charsmap" in normalizer:
            yield normalizer["precompiled_charsmap"]
        yield from _charsmaps(normalizer.get("normalizers"), depth + 1)
    elif isinstance(normalizer, list):
        for one in normalizer:
            yield from _charsmaps(one, depth + 1)


def _check_charsmap(charsmap: Any, name: str) -> None:
    """A length, a trie of that length, then text: memory is taken for the length before the rest is looked at."""
    try:
        content = base64.b64decode(charsmap or "")
    except (binascii.Error, TypeError, ValueError):
        content = b"\xff" * 4
    length = int.from_bytes(content[:4], "little")
    if content and (len(content) < 4 or length % 4 or length > len(content) - 4):
        raise OgaError(f"{name} holds a precompiled_charsmap that is not whole. {_SAVE}")
