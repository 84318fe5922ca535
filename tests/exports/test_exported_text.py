"""Text tables after an export: what was decided changes, every other byte stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_runs import RELABELLED, REMOVED, decide, make_run
from export_runs import export_here as export
from reader_sets import csv_text, text_rows

from oga_core.exports.rows import replace_field, replace_value
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore


def test_untouched_bytes_of_a_csv_stay(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + csv_text().replace('"line 7', '"line  7').encode() + b"\r\n"
    (tmp_path / "a.csv").write_bytes(content)
    run = make_run(tmp_path / "run", tmp_path / "a.csv")
    decide(run, run.samples, 'new, "label"')
    written = export(run, "fixed", tmp_path / "out").read_bytes()
    rows = csv_text().encode()
    removed = rows[rows.index(b"002,") : rows.index(b"003,")]
    expected = content.replace(removed, b"").replace(b' = 1",dog\r\n', b' = 1","new, ""label"""\r\n')
    assert written == expected
    store = ReviewStore(run.review)
    store.undo("Zoë")
    store.undo("me")
    store.undo("me")
    store.undo("me")
    assert export(run, "fixed", tmp_path / "same.csv").read_bytes() == content


def test_untouched_bytes_of_json_stay(tmp_path: Path) -> None:
    lines = [json.dumps(row, ensure_ascii=i % 2 == 0, separators=(" ,", ": ")) for i, row in enumerate(text_rows())]
    lines[RELABELLED] = '{"a": 1.50e0 , "label" :"dog", "text": "label \\u00e9", "id": "001", "z":{"label": [1]}}'
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run = make_run(tmp_path / "run", tmp_path / "a.jsonl")
    decide(run, run.samples, "été")
    lines[RELABELLED] = lines[RELABELLED].replace('"label" :"dog"', '"label" :"été"')
    del lines[REMOVED]
    assert export(run, "fixed", tmp_path / "out").read_text(encoding="utf-8") == "\n".join(lines)


@pytest.mark.parametrize("removed", [{0}, {23}, {0, 1, 23}, {22, 23}, set(range(23))])
def test_rows_leave_a_json_array_whole(tmp_path: Path, removed: set[int]) -> None:
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(text_rows(), ensure_ascii=False, indent=2), encoding="utf-8")
    run = make_run(tmp_path / "run", tmp_path / "a.json")
    ReviewStore(run.review).decide([Decision(run.samples.ids[i], "remove") for i in removed])
    written = json.loads(export(run, "fixed", tmp_path / "out").read_text(encoding="utf-8-sig"))
    assert written == [row for i, row in enumerate(text_rows()) if i not in removed]


@pytest.mark.parametrize(
    ("record", "position", "value", "expected"),
    [
        ("a,b,c\r\n", 1, "x", "a,x,c\r\n"),
        ('"a,""1""",b\n', 1, "x", '"a,""1""",x\n'),
        ('a,"b"', 1, "x", 'a,"x"'),
        ("a,b", 1, 'x"y', 'a,"x""y"'),
        ('"a\n,b",,c\n', 1, "x", '"a\n,b",x,c\n'),
    ],
)
def test_a_field_is_replaced_where_it_stands(record: str, position: int, value: str, expected: str) -> None:
    assert replace_field(record, ",", position, value) == expected


def test_numbers_stay_numbers_in_json() -> None:
    assert replace_value('{"x": {"y": 1}, "y": 1}', "y", "3") == '{"x": {"y": 1}, "y": 3}'
    assert replace_value('{"y": "1"}', "y", "3") == '{"y": "3"}'


def test_labels_go_back_in_the_words_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(10)))
    run = make_run(tmp_path / "run", tmp_path / "a.csv", classes=["negative", "positive", "neutral"])
    store = ReviewStore(run.review)
    store.decide(Decision("1", "relabel", "negative"))
    store.decide(Decision("2", "relabel", "neutral"))
    after = read_samples(export(run, "fixed", tmp_path / "out"))
    assert [after.class_names[label] for label in after.given_labels[:4]] == ["0", "0", "2", "1"]
