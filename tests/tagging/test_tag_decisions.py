"""Other tags for words, from the decision to the data in the format that it came in."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_tagged_reader import CONLL, NAMES, TAGS, WORDS

from oga_core.errors import OgaError
from oga_core.exports.columns import write_edited_parquet
from oga_core.exports.rows import edited_table
from oga_core.readers import read_samples
from oga_core.readers.targets import with_tags
from oga_core.review import Decision
from oga_core.review.changes import edits_of
from oga_core.samples import SampleSet

CHANGED = "B-LOC | B-LOC | I-LOC | O"


def decided(samples: SampleSet, label: str = CHANGED) -> dict[str, Decision]:
    """Other tags for the second sentence, and the third taken out."""
    second, third = samples.ids[1], samples.ids[2]
    return {second: Decision(second, "relabel", label), third: Decision(third, "remove")}


def edited(path: Path) -> str:
    samples = with_tags(read_samples(path), NAMES)
    return b"".join(edited_table(path, path.name, None, edits_of(decided(samples), samples, {}))).decode()


def test_a_conll_file_keeps_all_else(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(CONLL)
    assert edited(path) == CONLL.replace("In O\n", "In B-LOC\n").replace("Rain O\n", "")


def test_a_conll_file_of_many_columns_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes(b"O\tNN\tO\r\n\r\nIn\tIN\tO\r\nO\t\tB-LOC\r\nYork\tNN\tI-LOC\r\n.\t.\tO\r\n\r\nRain\tNN\tO\r\n")
    samples = with_tags(read_samples(path), NAMES)
    written = b"".join(edited_table(path, path.name, None, edits_of(decided(samples), samples, {})))
    assert written == b"O\tNN\tO\r\n\r\nIn\tIN\tB-LOC\r\nO\t\tB-LOC\r\nYork\tNN\tI-LOC\r\n.\t.\tO\r\n\r\n"


@pytest.mark.parametrize("numbered", [False, True])
def test_lists_keep_names_or_numbers(tmp_path: Path, numbered: bool) -> None:
    path = tmp_path / "a.jsonl"
    written = [[NAMES.index(tag) if numbered else tag for tag in tags] for tags in TAGS]
    rows = [{"tokens": words, "tags": tags, "more": 1.0} for words, tags in zip(WORDS, written, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    after = [json.loads(line) for line in edited(path).splitlines()]
    new = CHANGED.split(" | ")
    assert after == [rows[0], {**rows[1], "tags": [NAMES.index(tag) for tag in new] if numbered else new}]


def test_numbers_of_a_parquet_file_are_those_of_its_own_names(tmp_path: Path) -> None:
    own = ("I-LOC", "B-LOC", "B-PER", "O")
    feature = {"feature": {"names": own, "_type": "ClassLabel"}, "_type": "Sequence"}
    table = pa.table({"tokens": WORDS, "ner_tags": [[own.index(tag) for tag in tags] for tags in TAGS]})
    metadata = {"huggingface": json.dumps({"info": {"features": {"ner_tags": feature}}})}
    path = tmp_path / "a.parquet"
    pq.write_table(table.replace_schema_metadata(metadata), path)
    samples = with_tags(read_samples(path), NAMES)
    with (tmp_path / "b.parquet").open("wb") as file:
        write_edited_parquet(path, file, "ner_tags", edits_of(decided(samples), samples, {}))
    after = with_tags(read_samples(tmp_path / "b.parquet"), NAMES)
    assert [after.label_text(i) for i in range(len(after))] == [" | ".join(TAGS[0]), CHANGED]


def test_as_many_tags_as_words_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(CONLL)
    samples = with_tags(read_samples(path), NAMES)
    with pytest.raises(OgaError, match="There are 2 tags for 4 words"):
        edits_of(decided(samples, "O | O"), samples, {})
    with pytest.raises(OgaError, match="'B-ORG' is not one of the run's"):
        edits_of(decided(samples, "O | O | O | B-ORG"), samples, {})
