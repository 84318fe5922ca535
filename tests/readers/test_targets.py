"""Labels read as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.targets import with_numbers, with_targets


def written(folder: Path, labels: list[str]) -> Path:
    path = folder / "prices.csv"
    path.write_text("id,rooms,price\n" + "".join(f"h{i},{i},{label}\n" for i, label in enumerate(labels)))
    return path


def test_labels_become_numbers_as_they_are_written(tmp_path: Path) -> None:
    samples = read_samples(written(tmp_path, ["12.50", "-3", "1e3", "007"]), label_column="price")
    numbers = with_numbers(samples)
    assert numbers.target == "number"
    assert numbers.targets is not None
    assert numbers.targets.tolist() == [12.5, -3.0, 1000.0, 7.0]
    assert numbers.class_names == ()
    assert numbers.given_labels.tolist() == [-1] * 4
    assert [numbers.label_text(i) for i in range(4)] == ["12.5", "-3", "1000", "7"]
    assert numbers.take(np.array([2, 0])).targets.tolist() == [1000.0, 12.5]


def test_a_label_that_is_no_number_is_told_and_left_out(tmp_path: Path) -> None:
    samples = read_samples(written(tmp_path, [*map(str, range(40)), "on request", "nan"]), label_column="price")
    numbers = with_targets(samples, "number", ())
    assert len(numbers) == 40
    assert [problem.reason for problem in numbers.problems] == [
        "its label 'on request' is not a number",
        "its label 'nan' is not a number",
    ]
    assert [problem.sample_id for problem in numbers.problems] == ["h40", "h41"]


def test_a_column_of_names_is_refused(tmp_path: Path) -> None:
    samples = read_samples(written(tmp_path, ["red", "blue", "12"]), label_column="price")
    with pytest.raises(OgaError, match="its label 'red' is not a number; h1"):
        with_numbers(samples)
    decimals = read_samples(written(tmp_path, ['"3,5"', "4"]), label_column="price")
    with pytest.raises(OgaError, match=r"'3,5' is not a number; write 3\.5, or 35 where it parts thousands"):
        with_numbers(decimals)


def test_classes_stay_classes(tmp_path: Path) -> None:
    samples = read_samples(written(tmp_path, ["1", "0", "1"]), label_column="price")
    assert with_targets(samples, "class", ("0", "1")).target == "class"
