"""The report's charts: every sample is in a bar, the flagged ones are marked, and the map shows where they are."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from oga_core.exports.report_charts import histogram, map_image

BAR = re.compile(r'<rect x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="var\(--(\w+)\)"/>')


def bars(scores: np.ndarray, threshold: float) -> list[tuple[float, float, str]]:
    return [(float(x), float(height), kind) for x, _, height, kind in BAR.findall(histogram(scores, threshold, "loss"))]


def test_the_bars_count_the_samples_on_a_square_root_scale() -> None:
    shown = bars(np.array([0.0] * 9 + [1.0]), threshold=0.5)
    assert len(shown) == 60
    assert [height for _, height, _ in shown if height] == [180.0, 60.0]


def test_what_reaches_the_threshold_is_marked_and_nothing_else() -> None:
    scores = np.linspace(0, 6, 61)
    marked = [x for x, _, kind in bars(scores, threshold=4.0) if kind == "mark"]
    assert len(marked) == 20
    assert min(marked) == pytest.approx(640 * 4 / 6, abs=1)
    assert all(kind == "mark" for _, _, kind in bars(scores, threshold=-1.0))
    assert all(kind == "quiet" for _, _, kind in bars(scores, threshold=7.0))


def test_equal_scores_and_hostile_names_make_a_chart_too() -> None:
    assert sum(height for _, height, _ in bars(np.full(5, 2.0), threshold=2.0)) == 180.0
    assert "<b>" not in histogram(np.arange(5.0), 1.0, "<b>loss</b>")


def test_flagged_samples_lie_on_top_and_up_is_up() -> None:
    positions = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.5, 0.5]])
    address = re.search(r"base64,([^\"]+)", map_image(positions, np.array([0, 1])))
    assert address
    canvas = np.asarray(Image.open(io.BytesIO(base64.b64decode(address[1]))))
    assert canvas.shape == (480, 480, 4)
    flagged = np.argwhere((canvas[..., :3] == (200, 67, 29)).all(axis=2) & (canvas[..., 3] == 255))
    rows, columns = flagged.min(axis=0), flagged.max(axis=0)
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [478, 479]
    corner = flagged[flagged[:, 1] < 240]
    assert corner[:, 0].min() > 470  # the sample at the lower left is below
    assert (canvas[..., 3] == 130).sum() == 4
