"""What is kept of a live data set to be looked at: pictures as they were before a model's preparation, texts, rows."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from oga_core.live.dataset import LiveData
from oga_core.live.keeping import keep
from oga_core.readers import read_samples

LABELS = ["cat", 'dog, "big"', "cat"]


def written(items: list[Any], tmp_path: Path, **options: Any) -> tuple[Path, str]:
    data = LiveData.of([(item, i) for i, item in enumerate(items)])
    return keep(data, options.pop("labels", LABELS), tmp_path, **options)


def pixels(path: Path) -> list[np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        return [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]


@pytest.mark.parametrize(
    ("scale", "darkest", "brightest"),
    [(1.0, 0.2, 0.6), (255.0, 51, 153)],
    ids=["from 0 to 1", "from 0 to 255"],
)
def test_pixels_of_a_known_range_keep_their_brightness(
    scale: float, darkest: float, brightest: float, tmp_path: Path
) -> None:
    image = torch.full((3, 4, 5), darkest)
    image[:, 0, 0] = brightest
    path, modality = written([image] * 3, tmp_path)
    assert modality == "image"
    first = pixels(path)[0]
    assert first.shape == (4, 5, 3)
    assert (first[0, 0], first[3, 4]) == (pytest.approx(255 * 0.6, abs=1), pytest.approx(255 * 0.2, abs=1))


def test_what_was_normalised_is_stretched_by_channel(tmp_path: Path) -> None:
    image = torch.stack([torch.linspace(-2, 2, 12).view(3, 4), torch.linspace(-1, 0, 12).view(3, 4), torch.zeros(3, 4)])
    first = pixels(written([image] * 3, tmp_path)[0])[0]
    assert first.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert first.max(axis=(0, 1)).tolist() == [255, 255, 0]


@pytest.mark.parametrize("last", [False, True])
def test_grey_pictures_have_their_channel_first_or_last(last: bool, tmp_path: Path) -> None:
    grey = np.arange(30, dtype=np.uint8).reshape(6, 5)
    first = pixels(written([grey[:, :, None] if last else grey[None]] * 3, tmp_path)[0])[0]
    assert first.tolist() == grey.tolist()


def test_pictures_are_read_back_with_their_labels(tmp_path: Path) -> None:
    path, _ = written([Image.new("RGB", (5, 4), colour) for colour in ("red", "green", "blue")], tmp_path)
    samples = read_samples(path)
    assert [samples.class_names[i] for i in samples.given_labels] == LABELS
    assert samples.inputs[2].getpixel((0, 0)) == (0, 0, 255)


class Tokenizer:
    def decode(self, tokens: list[int]) -> str:
        return " ".join(f"word{token}" for token in tokens)


@pytest.mark.parametrize(
    ("item", "tokenizer", "text"),
    [
        ("a good film", None, "a good film"),
        ({"input_ids": torch.tensor([1, 2, 3])}, Tokenizer(), "word1 word2 word3"),
        ({"input_ids": [1, 2, 3]}, None, "1 2 3"),
        ({"input_ids": list(range(5000))}, None, " ".join(map(str, range(4000)))),
    ],
    ids=["text", "tokens", "tokens alone", "many tokens"],
)
def test_texts_and_tokens_are_lines(item: Any, tokenizer: Any, text: str, tmp_path: Path) -> None:
    path, modality = written([item] * 3, tmp_path, tokenizer=tokenizer)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert modality == "text"
    assert rows == [{"text": text, "label": label} for label in LABELS]


def test_texts_without_labels_are_a_language_models(tmp_path: Path) -> None:
    path, modality = written(["a", "b", "c"], tmp_path, labels=None)
    assert modality == "causal_lm"
    assert json.loads(path.read_text().splitlines()[0]) == {"text": "a"}


def test_rows_of_numbers_are_a_table_and_of_the_rest_the_shape_is_told(tmp_path: Path) -> None:
    path, modality = written([np.array([i, 0.5]) for i in range(3)], tmp_path / "a")
    assert modality == "tabular"
    table = pd.read_parquet(path)
    assert (list(table), table["x0"].tolist()) == (["x0", "x1", "label"], [0, 1, 2])
    path, _ = written([np.zeros((2, 7, 9)), np.zeros((2, 8, 9)), np.array(1.0)], tmp_path / "b")
    assert pd.read_parquet(path)["shape"].tolist() == ["2×7×9", "2×8×9", "one number"]
