"""Every function of the readers that takes a path takes its text as well."""

from __future__ import annotations

from collections.abc import Callable, Sized
from pathlib import Path

import numpy as np
import pytest
from reader_sets import CASES

from oga_core.readers import read_outputs
from oga_core.readers.archives import open_archive
from oga_core.readers.npy import read_npy
from oga_core.readers.tables import open_text_table
from oga_core.readers.tables.arrow import ParquetTable, open_arrow_file


@pytest.mark.parametrize(
    ("name", "open_path"),
    [
        ("class_zip", lambda path: open_archive(path).names),
        ("class_tar", lambda path: open_archive(path).names),
        ("class_folder", lambda path: open_archive(path).names),
        ("csv", lambda path: open_text_table(path).columns),
        ("json", lambda path: open_text_table(path).columns),
        ("parquet_text", lambda path: ParquetTable(path).columns),
        ("outputs_npz", read_outputs),
        ("outputs_parquet", read_outputs),
    ],
)
def test_a_path_may_be_a_text(name: str, open_path: Callable[[str], Sized], tmp_path: Path) -> None:
    assert len(open_path(str(CASES[name](tmp_path).path))) > 0


def test_an_array_and_an_arrow_file_too(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    assert read_npy(str(tmp_path / "a.npy")).tolist() == [0, 1, 2]
    folder = CASES["saved_dataset"](tmp_path).path
    assert open_arrow_file(str(next(folder.rglob("*.arrow")))).columns
