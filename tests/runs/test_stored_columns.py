"""Columns of a run's table, read one at a time, and the ids of its samples."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oga_core.errors import OgaError
from oga_core.runs.stored import writing
from oga_core.runs.stored.columns import StoredColumns
from oga_core.runs.stored.ids import SampleIds

HOSTILE = ("it's", 'say "no"', "'; DROP TABLE runs; --", "%_", "猫 \U0001f408", "nan", "")


def stored(folder, table, rows=3):
    """The table in row groups of a few rows."""
    pq.write_table(pa.Table.from_pandas(pd.DataFrame(table)), folder / "table.parquet", row_group_size=rows)
    return StoredColumns(folder / "table.parquet")


def ids(*names):
    return SampleIds(pa.chunked_array([names[:2], names[2:]], pa.string()))


def test_names_with_quotes_are_names_like_others(tmp_path):
    names = [*HOSTILE, None, HOSTILE[2], "cat"]
    columns = stored(tmp_path, {"label": names})
    assert columns.distinct("label") == tuple(sorted({*HOSTILE, "cat"}))
    for code, name in enumerate(HOSTILE):
        expected = np.array([other == name for other in names])
        assert ((columns.codes("label", HOSTILE) == code) == expected).all()
        assert ((columns.codes("label", [name]) == 0) == expected).all()
    assert columns.codes("label", HOSTILE)[-3] == columns.codes("label", HOSTILE)[-1] == -1
    assert [columns.text("label", row) for row in range(len(names))] == [name or "" for name in names]
    assert columns.texts("label").tolist() == [name or "" for name in names]


def test_numbers_keep_their_precision_and_miss_as_nan(tmp_path):
    columns = stored(
        tmp_path,
        {
            "single": np.array([1.5, np.nan, 3.5, 4.5], dtype=np.float32),
            "whole": pd.array([1, None, 3, 4], dtype="Int64"),
            "none": [None] * 4,
            "text": list("abcd"),
        },
    )
    assert columns.numbers("single").dtype == np.float32
    for name in ("single", "whole"):
        assert np.isnan(columns.numbers(name)).tolist() == [False, True, False, False]
    assert np.isnan(columns.numbers("none")).all()
    assert [columns.is_numeric(name) for name in columns.names] == [True, True, True, False]


def test_a_damaged_column_says_so_when_it_is_read(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"first": range(5000), "second": range(5000)}).to_parquet(path)
    start = pq.ParquetFile(path).metadata.row_group(0).column(1).dictionary_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)
    columns = StoredColumns(path)
    assert columns.numbers("first")[-1] == 4999
    with pytest.raises(OgaError, match=r"table\.parquet is damaged: .+ Score the data again"):
        columns.numbers("second")


def test_an_id_is_found_and_a_row_has_its_id():
    some = ids("b", "a", "it's", "10")
    assert list(some) == ["b", "a", "it's", "10"]
    assert some[2] == "it's"
    assert some[np.int64(3)] == some[-1] == "10"
    assert some[np.array([3, 0])].tolist() == ["10", "b"]
    assert some[np.array([True, False, False, True])].tolist() == ["b", "10"]
    assert some[1:3].tolist() == ["a", "it's"]
    assert some.rows(["10", "gone", "a", "10"]).tolist() == [3, -1, 1, 3]
    assert (some.get("b"), some.get("gone"), some.get("\ud800")) == (0, None, None)
    assert "a" in some
    assert 3 not in some
    with pytest.raises(KeyError):
        some.row("gone")
    assert some.containing("S").tolist() == [False, False, True, False]
    assert some.containing("1").tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("names", "repeated"),
    [
        (("a", "b", "c"), None),
        (("8", "9", "10", "11"), None),
        (("z", "it's", "b", "a"), None),
        (("z", "it's", "b", "it's"), "it's"),
        (("a", "a"), "a"),
        (("7", "8", "07", "7"), "7"),
        (("a",), None),
    ],
)
def test_an_id_that_stands_twice_is_named(names, repeated):
    assert ids(*names).repeated() == repeated


def test_columns_written_in_groups_are_what_pandas_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "GROUP_ROWS", 3)
    columns = {
        "sample_id": pd.Series([str(i) for i in range(8)]),
        "label": np.array([*HOSTILE, "cat"], dtype=object),
        "twin": [None, None, None, None, "3", None, None, None],
        "nothing": [None] * 8,
        "score": np.array([0.1, np.nan, 3, 4, np.inf, 6, 7, 8]),
        "map_x": np.arange(8, dtype=np.float32),
    }
    writing.write_columns(tmp_path / "groups.parquet", columns)
    pd.DataFrame(columns).to_parquet(tmp_path / "whole.parquet", index=False)
    groups, whole = (pq.ParquetFile(tmp_path / f"{name}.parquet") for name in ("groups", "whole"))
    assert groups.num_row_groups == 3
    group = groups.metadata.row_group(0)
    coded = [group.column(i).path_in_schema for i in range(6) if "RLE_DICTIONARY" in group.column(i).encodings]
    assert coded == ["sample_id", "label", "twin"]
    assert groups.read().replace_schema_metadata() == whole.read().replace_schema_metadata()
    pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("groups", "whole")))


def test_columns_are_replaced_group_by_group(tmp_path):
    table = pd.DataFrame({"sample_id": list("abcdefgh"), "map_x": np.full(8, np.nan), "score": np.arange(8.0)})
    pq.write_table(pa.Table.from_pandas(table), tmp_path / "old.parquet", row_group_size=3)
    new = {"map_x": np.arange(8, dtype=np.float32), "map_cluster": np.arange(8) - 4}
    writing.replace_columns(tmp_path / "old.parquet", tmp_path / "new.parquet", new)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new.parquet"), table.assign(**new))
    assert pq.ParquetFile(tmp_path / "new.parquet").num_row_groups == 3
