"""What a person will want to look at of a live data set, kept in the run folder in a format that the readers know."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from oga_core.files import write_whole
from oga_core.live.dataset import LiveData, parted
from oga_core.samples import Modality

_SCALED_ITEMS = 64  # what the range of pixels is read off
_TOKENS_SHOWN = 4000  # of a text without its tokenizer; more of them say nothing
_CHANNELS = (1, 3, 4)


def keep(
    data: LiveData, labels: Sequence[str] | None, folder: Path, tokenizer: Any | None = None
) -> tuple[Path, Modality]:
    """Write the items and the names of their labels into `folder`; return the file and its modality.

    Images become PNG files in a zip, texts and tokens lines of JSON, rows of numbers a Parquet table; of anything else
    the table says the shape. labels: None for language models.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = _content(data.items[0])
    if _is_image(first):
        return _keep_images(data, labels, folder / "images.zip"), "image"
    if isinstance(first, str) or _tokens(first) is not None or isinstance(first, Mapping):
        modality: Modality = "causal_lm" if labels is None else "text"
        return _keep_texts(data, labels, folder / "texts.jsonl", tokenizer), modality
    return _keep_table(data, labels, folder / "rows.parquet"), "tabular"


def _content(item: Any) -> Any:
    """The input of an item that a person would look at."""
    inputs = parted(item)[0]
    if isinstance(inputs, Mapping):
        for name in ("pixel_values", "image", "images", "text", "input_ids"):
            if name in inputs:
                return {name: inputs[name]} if name == "input_ids" else inputs[name]
    return inputs[0] if isinstance(inputs, (tuple, list)) and inputs else inputs


def _is_image(content: Any) -> bool:
    if isinstance(content, Image.Image):
        return True
    shape = tuple(getattr(content, "shape", ()))
    return len(shape) == 3 and (shape[0] in _CHANNELS or shape[2] in _CHANNELS)


def _tokens(content: Any) -> list[int] | None:
    if not isinstance(content, Mapping) or "input_ids" not in content:
        return None
    return [int(token) for token in np.asarray(content["input_ids"]).reshape(-1)[:_TOKENS_SHOWN]]


def _keep_images(data: LiveData, labels: Sequence[str] | None, path: Path) -> Path:
    scale = _pixel_scale(data)

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            table = io.StringIO()
            rows = csv.writer(table, lineterminator="\n")
            rows.writerow(["file_name", "label"])
            for i in range(len(data)):
                content = io.BytesIO()
                _image(_content(data.items[i]), scale).save(content, format="PNG", compress_level=1)
                archive.writestr(f"{i:07d}.png", content.getvalue())
                rows.writerow([f"{i:07d}.png", labels[i] if labels else ""])
            archive.writestr("metadata.csv", table.getvalue())

    write_whole(path, write)
    return path


def _pixel_scale(data: LiveData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The darkest and the brightest value of each channel, as far as some items tell; what is normalised has others."""
    rows = np.linspace(0, len(data) - 1, min(_SCALED_ITEMS, len(data))).astype(np.int64)
    contents = [_content(data.items[int(row)]) for row in rows]
    if any(isinstance(content, Image.Image) for content in contents):
        return np.zeros(1), np.full(1, 255.0)
    pixels = np.concatenate(
        [_channels_last(content).reshape(-1, _channels_last(content).shape[2]) for content in contents]
    )
    low = pixels.min(axis=0)
    high = pixels.max(axis=0)
    if low.min() >= 0 and high.max() <= 1:
        return np.zeros(1), np.ones(1)
    if low.min() >= 0 and high.max() <= 255:
        return np.zeros(1), np.full(1, 255.0)
    return low, np.maximum(high, low + 1e-6)


def _channels_last(content: Any) -> NDArray[np.float64]:
    pixels = np.asarray(content.cpu() if isinstance(content, Tensor) else content, dtype=np.float64)
    return pixels.transpose(1, 2, 0) if pixels.shape[0] in _CHANNELS else pixels


def _image(content: Any, scale: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Image.Image:
    if isinstance(content, Image.Image):
        return content
    low, high = scale
    pixels = np.clip((_channels_last(content) - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _keep_texts(data: LiveData, labels: Sequence[str] | None, path: Path, tokenizer: Any | None) -> Path:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8") as file:
            for i in range(len(data)):
                row = {"text": _text(_content(data.items[i]), tokenizer)} | ({"label": labels[i]} if labels else {})
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    write_whole(path, write)
    return path


def _text(content: Any, tokenizer: Any | None) -> str:
    if isinstance(content, str):
        return content
    tokens = _tokens(content)
    if tokens is None:
        return str(content)
    return str(tokenizer.decode(tokens)) if tokenizer is not None else " ".join(map(str, tokens))


def _keep_table(data: LiveData, labels: Sequence[str] | None, path: Path) -> Path:
    rows = [np.asarray(_content(data.items[i])) for i in range(len(data))]
    if all(row.ndim == 1 and row.dtype.kind in "fiub" for row in rows) and len({len(row) for row in rows}) == 1:
        table = pd.DataFrame(np.stack(rows), columns=[f"x{column}" for column in range(len(rows[0]))])
    else:
        table = pd.DataFrame({"shape": ["×".join(map(str, row.shape)) or "one number" for row in rows]})
    if labels:
        table["label"] = list(labels)
    write_whole(path, lambda temporary: table.to_parquet(temporary, index=False))
    return path
