"""Sentences with a tag for each word, read from every format that holds them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.tables.conll import MAX_WORDS
from oga_core.readers.targets import with_tags, with_targets
from oga_core.samples import SampleSet

WORDS = [["Ann", "sleeps"], ["In", "New", "York", "."], ["Rain"]]
TAGS = [["B-PER", "O"], ["O", "B-LOC", "I-LOC", "O"], ["O"]]
NAMES = ("O", "B-PER", "B-LOC", "I-LOC")
CONLL = (
    "-DOCSTART- O\n\nAnn B-PER\nsleeps O\n \n# a comment on two words\nIn O\nNew B-LOC\nYork I-LOC\n. O\n\n\nRain O\n"
)


def jsonl(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "sentences.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def written(folder: Path, ending: str) -> Path:
    path = folder / f"sentences{ending}"
    if ending == ".jsonl":
        return jsonl(folder, [{"tokens": words, "tags": tags} for words, tags in zip(WORDS, TAGS, strict=True)])
    if ending == ".conll":
        path.write_text(CONLL)
        return path
    numbers = [[NAMES.index(tag) for tag in tags] for tags in TAGS]
    table = pa.table({"tokens": WORDS, "ner_tags": numbers})
    feature = {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "Sequence"}
    info = {"info": {"features": {"ner_tags": feature, "tokens": {"_type": "Sequence"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), path)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".conll", ".parquet"])
def test_sentences_are_read_with_their_tags(tmp_path: Path, ending: str) -> None:
    samples = with_targets(read_samples(written(tmp_path, ending)), "tags", NAMES)
    assert (samples.target, samples.modality, samples.class_names) == ("tags", "text", NAMES)
    assert [list(samples.inputs[i].words) for i in range(3)] == WORDS
    assert samples.inputs[1] == "In New York ."
    assert tags_of(samples) == TAGS
    assert samples.label_text(1) == "O | B-LOC | I-LOC | O"
    assert tags_of(samples.take(np.array([2, 0]))) == [TAGS[2], TAGS[0]]


def tags_of(samples: SampleSet) -> list[list[str]]:
    assert samples.tags is not None
    return [[samples.class_names[tag] for tag in tags] for tags in samples.tags]


def test_numbers_stand_for_the_classes_of_the_model(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"words": ["a", "b"], "pos_tags": [3, 0]}, {"words": ["c"], "pos_tags": [1]}])
    assert tags_of(with_tags(read_samples(path), NAMES)) == [["I-LOC", "O"], ["B-PER"]]


def test_rows_whose_lists_do_not_fit_are_told_with_their_counts(tmp_path: Path) -> None:
    good = [{"tokens": ["a"], "tags": ["O"]}] * 96
    bad = [
        {"tokens": ["a", "b", "c"], "tags": ["O"]},
        {"tokens": [], "tags": []},
        {"tokens": ["a"], "tags": [None]},
        {"tokens": "a", "tags": ["O"]},
    ]
    samples = read_samples(jsonl(tmp_path, [*good, *bad]))
    assert len(samples) == 96
    assert [(problem.row, problem.reason) for problem in samples.problems] == [
        (96, "it has 3 words in 'tokens' and 1 tags in 'tags'"),
        (97, "its 'tokens' has no words"),
        (98, "its 'tags' holds None, which is not a tag"),
        (99, "its 'tokens' is not a list"),
    ]


def test_a_sentence_of_other_columns_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("a\tDT\tO\n\n" * 40 + "b\tNN\tO\nc\tO\n\n")
    samples = read_samples(path)
    assert [problem.reason for problem in samples.problems] == ["line 82 has 2 column(s), and the first line 3"]
    assert set(read_samples(path, label_column="column_2").class_names) == {'["DT"]'}


def test_a_file_of_words_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("a\nb\n")
    with pytest.raises(OgaError, match="begins with 'a', which is no word with a tag"):
        read_samples(path)


def test_a_file_without_empty_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("a O\n" * (MAX_WORDS + 1))
    with pytest.raises(OgaError, match="more than 100,000 words at line 1"):
        read_samples(path)


def test_several_columns_of_tags_are_to_be_chosen_from(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"tokens": ["a"], "ner_tags": ["O"], "pos_tags": ["DT"]}])
    with pytest.raises(OgaError, match="several columns that could hold the tags of its words: 'ner_tags', 'pos_tags'"):
        read_samples(path)
    assert read_samples(path, label_column="pos_tags").class_names == ('["DT"]',)


def test_long_sentences_are_no_mistaken_column(tmp_path: Path) -> None:
    path = jsonl(tmp_path, [{"tokens": ["a"] * 600, "tags": ["B-PER"] * 600}])
    assert len(with_tags(read_samples(path), ()).label_text(0).split(" | ")) == 600


def test_models_of_rows_and_of_words_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="token_cross_entropy"):
        with_targets(read_samples(written(tmp_path, ".jsonl")), "class", NAMES)
    plain = jsonl(tmp_path, [{"text": "a", "label": "b"}])
    with pytest.raises(OgaError, match="has no lists of words and tags"):
        with_targets(read_samples(plain), "tags", NAMES)


def test_a_tag_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="does not know: 'B-LOC', 'I-LOC'"):
        with_tags(read_samples(written(tmp_path, ".jsonl")), ("O", "B-PER"))
