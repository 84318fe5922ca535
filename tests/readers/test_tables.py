"""Tables: values exactly as written, rows by line, columns by their usual names."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.tables import open_text_table
from oga_core.samples import UnreadableSample


def csv(tmp_path: Path, content: str, name: str = "a.csv") -> Path:
    (tmp_path / name).write_bytes(content.encode())
    return tmp_path / name


def labels_of(path: Path, **options: object) -> list[str]:
    samples = read_samples(path, **options)
    return [samples.class_names[label] for label in samples.given_labels]


def test_labels_and_ids_are_kept_as_written(tmp_path: Path) -> None:
    labels = ["NA", "None", "null", "nan", "1.0", "0.0", "1e5", " padded ", "Ärger", "TRUE"]
    ids = ["001", "1", "1.0", "01e3", "=1+1", "@cmd", "<b>x</b>", "é", "999999999999999999999", "-0"]
    rows = "".join(f"{i},text,{label}\n" for i, label in zip(ids, labels, strict=True))
    path = csv(tmp_path, "id,text,label\n" + rows)
    assert labels_of(path) == labels
    assert read_samples(path).ids.tolist() == ids


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "<script>alert(1)</script>", "![x](http://e/x.png)", "$a$ :red[b]", "\u202e"]
)
def test_hostile_text_is_only_text(tmp_path: Path, text: str) -> None:
    path = csv(tmp_path, json.dumps({"text": text, "label": "a"}), "a.jsonl")
    assert read_samples(path).inputs[0] == text


def test_whole_numbers_sort_as_numbers_and_names_as_text(tmp_path: Path) -> None:
    assert read_samples(csv(tmp_path, "text,y\na,10\nb,9\nc,1\n")).class_names == ("1", "9", "10")
    assert read_samples(csv(tmp_path, "text,y\na,b10\nb,b9\n")).class_names == ("b10", "b9")


def test_json_labels_of_every_type(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": value} for value in (0, 1.0, True, "x", 2**60)]
    path = csv(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "a.jsonl")
    assert labels_of(path) == ["0", "1", "true", "x", str(2**60)]


def test_a_few_bad_rows_are_listed_with_their_line_and_left_out(tmp_path: Path) -> None:
    rows = [f"{i},text {i},a\n" for i in range(100)]
    rows[3] = '3,"two\nlines",b\n'
    rows[50] = "50,too,many,fields\n"
    rows[60] = "60,no label,\n"
    samples = read_samples(csv(tmp_path, "id,text,label\n\n" + "".join(rows)))
    assert len(samples) == 98
    assert [(problem.row, problem.reason) for problem in samples.problems] == [
        (50, "line 54 has 4 fields, the header has 3"),
        (60, "it has no label"),
    ]
    assert samples.problems[1].sample_id == "60"
    assert samples.row_numbers[[0, 49, 50, 97]].tolist() == [0, 49, 51, 99]
    assert samples.inputs[3] == "two\nlines"
    assert samples.rows[60] == {"id": "62", "text": "text 62", "label": "a"}


def test_semicolons_are_found_by_the_header_but_commas_in_a_tab_file_are_not(tmp_path: Path) -> None:
    samples = read_samples(csv(tmp_path, "text\tlabel\na, b, c, d\tx\ne, f\ty\n", "a.tsv"))
    assert samples.inputs[0] == "a, b, c, d"
    samples = read_samples(csv(tmp_path, "text;label\na, b;x\n"))
    assert samples.inputs[0] == "a, b"
    assert "a.csv is separated by semicolons" in samples.notes[0]


def test_stray_quotes_in_a_tab_file_are_text(tmp_path: Path) -> None:
    samples = read_samples(csv(tmp_path, 'text\tlabel\n"so" he said\tx\nan " open one\ty\n"open\tx\n', "a.tsv"))
    assert [samples.inputs[i] for i in range(3)] == ['"so" he said', 'an " open one', '"open']
    assert "Quotation marks in a.tsv are read as ordinary characters." in samples.notes


def test_chosen_columns_win_and_must_exist(tmp_path: Path) -> None:
    path = csv(tmp_path, "key,body,label,stars\nk1,good,x,5\nk2,bad,y,1\n")
    samples = read_samples(path, id_column="key", text_column="body", label_column="stars")
    assert (samples.ids.tolist(), samples.inputs[1], samples.class_names) == (["k1", "k2"], "bad", ("1", "5"))
    message = "a.csv has no column 'rating'; it has 'key', 'body', 'label', 'stars'"
    with pytest.raises(OgaError, match=message):
        read_samples(path, label_column="rating")
    with pytest.raises(OgaError, match="--id-column"):
        read_samples(path, id_column="nr")


def test_a_pair_of_texts_can_be_chosen(tmp_path: Path) -> None:
    path = csv(tmp_path, "a,b,label\none,two,x\n")
    assert read_samples(path, text_column="a,b").inputs[0] == ("one", "two")
    assert read_samples(path).modality == "tabular"
    assert read_samples(path).inputs[0] == {"a": "one", "b": "two"}


def test_labels_can_lie_in_a_table_of_their_own(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,text,label\n001,a,x\n002,b,x\n")
    labels = csv(tmp_path, "id,label\n002,new\n001,old\n", "labels.csv")
    assert labels_of(path, labels=labels) == ["old", "new"]
    assert read_samples(path, labels=labels).source.labels_path == labels
    with pytest.raises(OgaError, match="002: it has no label"):
        read_samples(path, labels=csv(tmp_path, "id,label\n001,old\n", "labels.csv"))


def test_one_class_is_allowed_with_a_note(tmp_path: Path) -> None:
    assert "same label, 'x'" in read_samples(csv(tmp_path, "text,label\na,x\nb,x\n")).notes[0]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": [{"role": "user", "content": "q"}]}, {"messages": [{"role": "user", "content": "q"}]}),
        (
            {
                "conversations": [
                    {"from": "system", "value": "s"},
                    {"from": "human", "value": "q"},
                    {"from": "gpt", "value": "a"},
                ]
            },
            {
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": "a"},
                ]
            },
        ),
        ({"prompt": "p", "completion": "c", "group": 1}, {"prompt": "p", "completion": "c"}),
        (
            {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]},
            {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]},
        ),
        ({"instruction": "do", "input": "it", "output": "done"}, {"prompt": "do\n\nit", "completion": "done"}),
        ({"instruction": "do", "input": "", "output": "done"}, {"prompt": "do", "completion": "done"}),
        ({"Question": "q", "Answer": "a"}, {"prompt": "q", "completion": "a"}),
        ({"text": "plain"}, {"text": "plain"}),
    ],
)
def test_rows_for_language_models_come_in_three_shapes(tmp_path: Path, row: object, expected: object) -> None:
    samples = read_samples(csv(tmp_path, json.dumps(row), "a.jsonl"))
    assert (samples.modality, samples.inputs[0], samples.rows[0]) == ("causal_lm", expected, row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [{"role": "judge", "content": "q"}]}, "unknown role 'judge'"),
        ({"messages": []}, "not a list of turns"),
        ({"messages": [{"role": "user"}]}, "no text"),
        ({"prompt": 3, "completion": "c"}, "'prompt' is not a text"),
    ],
)
def test_a_broken_conversation_says_why(tmp_path: Path, row: object, message: str) -> None:
    samples = read_samples(csv(tmp_path, json.dumps(row), "a.jsonl"))
    with pytest.raises(UnreadableSample, match=message):
        samples.inputs[0]


def test_questions_with_labels_are_for_a_classifier(tmp_path: Path) -> None:
    samples = read_samples(csv(tmp_path, "question,answer,label\nq,a,yes\n"))
    assert (samples.modality, samples.inputs[0]) == ("text", ("q", "a"))


def test_spans_of_rows_are_their_bytes(tmp_path: Path) -> None:
    content = 'id,text,label\r\n1,"ä\r\nb",x\r\n\r\n2,c,y\r\n'
    scan = open_text_table(csv(tmp_path, "\ufeff" + content), "a.csv").scan(["label"])
    data = (tmp_path / "a.csv").read_bytes()
    assert scan.spans is not None
    assert [data[start:stop].decode() for start, stop in scan.spans] == ['1,"ä\r\nb",x\r\n', "2,c,y\r\n"]


def test_threads_never_mix_up_rows(tmp_path: Path) -> None:
    samples = read_samples(csv(tmp_path, "text,label\n" + "".join(f"{'x' * (i % 7)}{i},a\n" for i in range(500))))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            texts = list(pool.map(samples.inputs.__getitem__, list(range(500)) * 10))
    finally:
        sys.setswitchinterval(interval)
    assert texts == [f"{'x' * (i % 7)}{i}" for i in range(500)] * 10


def test_a_file_that_changes_while_open_is_noticed(tmp_path: Path) -> None:
    path = csv(tmp_path, "text,label\n" + "some text,a\n" * 5)
    samples = read_samples(path)
    path.write_text("text,label\n")
    with pytest.raises(UnreadableSample, match="has changed"):
        samples.inputs[3]


def test_a_million_rows_of_parquet_open_and_rows_stay_lazy(tmp_path: Path) -> None:
    n_rows = 1_000_000
    random = np.random.default_rng(0)
    columns = {f"f{i}": random.normal(size=n_rows).astype(np.float32) for i in range(4)}
    pq.write_table(pa.table({**columns, "label": random.integers(0, 3, n_rows)}), tmp_path / "a.parquet")
    samples = read_samples(tmp_path / "a.parquet")
    assert samples.inputs[999_999]["f3"] == str(float(columns["f3"][999_999]))


def test_pixels_of_arrays_must_lie_in_a_known_range(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.full((2, 4, 4), 17.0), y=np.array([0, 1]))
    with pytest.raises(OgaError, match=r"must be 0 to 255 .*Got 17 to 17 instead"):
        read_samples(tmp_path / "a.npz")


def test_the_same_text_with_different_labels_is_noted(tmp_path: Path) -> None:
    samples = read_samples(csv(tmp_path, "text,label\na,x\nb,x\na,y\na,x\nb,x\n"))
    assert samples.notes == ("1 text(s) are there more than once with different labels.",)


def test_labels_beside_a_bundle_of_outputs_are_in_its_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=np.ones((3, 2)), logits=np.ones((3, 2)), classes=np.array(["no", "yes"]))
    labels = csv(tmp_path, "label\nyes\nno\nyes\n", "labels.csv")
    assert labels_of(tmp_path / "a.npz", labels=labels) == ["yes", "no", "yes"]
    with pytest.raises(OgaError, match="has no 'labels'"):
        read_samples(tmp_path / "a.npz")
    with pytest.raises(OgaError, match="has 3 rows but 1 labels"):
        read_samples(tmp_path / "a.npz", labels=csv(tmp_path, "label\nyes\n", "labels.csv"))


def test_rows_for_language_models_take_no_labels(tmp_path: Path) -> None:
    path = csv(tmp_path, '{"prompt": "p", "completion": "c"}', "a.jsonl")
    with pytest.raises(OgaError, match=r"which have no labels\. Leave --labels out"):
        read_samples(path, labels=csv(tmp_path, "id,label\n0,a\n", "labels.csv"))


def test_a_json_file_may_hold_one_object_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        '\ufeff\n{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n', encoding="utf-8"
    )
    samples = read_samples(tmp_path / "a.json")
    assert list(samples.inputs) == ["a", "b"]
    assert samples.source.format == "jsonl"
