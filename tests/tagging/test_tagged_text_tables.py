"""Tags in tables of text: lists in a cell, one word a row, and CoNLL-U; read, and written back as they were."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_tag_decisions import edited
from test_tagged_reader import NAMES, TAGS, WORDS, tags_of

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.tables.tagged import as_list
from oga_core.readers.targets import with_targets

LISTS: dict[str, Callable[[list[str]], str]] = {
    "JSON": json.dumps,
    "Python": str,
    "NumPy": lambda values: str(np.array(values)),
    "spaces": " ".join,
}
WORD_ROWS = """Sentence #,Word,POS,Tag
Sentence: 1,Ann,NNP,B-PER
,sleeps,VBZ,O
Sentence: 2,In,IN,O
,New,NNP,B-LOC
,"York",NNP,"I-LOC"

,.,.,O
Sentence: 3,Rain,NN,O
"""
UNIVERSAL = """# sent_id = 1
1-2\tl'ami\t_\t_\t_\t_\t_\t_\t_\t_
1\tl'\tle\tDET\t_\t_\t2\tdet\t_\t_
2\tami\tami\tNOUN\t_\t_\t0\troot\t_\t_
2.1\tvu\tvoir\tVERB\t_\t_\t_\t_\t_\t_

1\tIl\til\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tdort\tdormir\tVERB\t_\t_\t0\troot\t_\t_
"""


def cells(form: Callable[[list[str]], str], rows: list[list[list[str]]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [["tokens", "tags"], *([form(part) for part in row] for row in rows)]
    )
    return text.getvalue()


@pytest.mark.parametrize("form", LISTS)
def test_lists_in_cells_go_home_in_their_form(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [list(row) for row in zip(WORDS, TAGS, strict=True)]
    path.write_text(cells(LISTS[form], rows))
    samples = with_targets(read_samples(path), "tags", NAMES)
    assert [list(samples.inputs[i].words) for i in range(3)] == WORDS
    assert tags_of(samples) == TAGS
    changed = [rows[0], [WORDS[1], ["B-LOC", "B-LOC", "I-LOC", "O"]]]
    assert edited(path) == cells(LISTS[form], changed)


def test_a_list_in_a_cell_is_read_with_quotes_escapes_and_numbers() -> None:
    assert as_list("""["it's", 'a "b"', '\\'s', "\\u00e9", O, 3, ',']""") == ["it's", 'a "b"', "'s", "é", "O", 3, ","]
    assert as_list("to be , or") == ["to", "be", ",", "or"]
    assert as_list("[]") == []


def test_one_word_a_row_is_a_sentence_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(WORD_ROWS)
    with pytest.raises(OgaError, match="several columns that could hold the tags of its words: 'Tag', 'POS'"):
        read_samples(path)
    samples = with_targets(read_samples(path, label_column="Tag"), "tags", NAMES)
    assert [list(samples.inputs[i].words) for i in range(3)] == WORDS
    assert tags_of(samples) == TAGS
    assert "one word a row; its sentences are told by 'Sentence #'" in samples.notes[0]
    plain = WORD_ROWS.replace(",POS", "").replace(",NNP", "").replace(",VBZ", "").replace(",IN", "")
    path.write_text(plain.replace(",.,.", ",.").replace(",NN", ""))
    assert edited(path) == path.read_text().replace("In,O", "In,B-LOC").replace("Sentence: 3,Rain,O\n", "")


def test_sentences_beside_a_word_are_no_words_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sentence,word,label\nthe bank of a river,bank,1\na bank lends,bank,2\n")
    assert set(read_samples(path).class_names) == {"1", "2"}


def test_universal_dependencies_have_their_columns_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(UNIVERSAL)
    samples = with_targets(read_samples(path), "tags", ())
    assert [list(samples.inputs[i].words) for i in range(2)] == [["l'", "ami"], ["Il", "dort"]]
    assert tags_of(samples) == [["DET", "NOUN"], ["PRON", "VERB"]]
    assert tags_of(with_targets(read_samples(path, label_column="deprel"), "tags", ()))[0] == ["det", "root"]
    path.write_text("a\tO\n")
    with pytest.raises(OgaError, match="has 2 column\\(s\\) where CoNLL-U has 10"):
        read_samples(path)


def test_universal_dependencies_keep_all_else(tmp_path: Path) -> None:
    from oga_core.exports.rows import edited_table
    from oga_core.review import Decision
    from oga_core.review.changes import edits_of

    path = tmp_path / "a.conllu"
    path.write_text(UNIVERSAL)
    samples = with_targets(read_samples(path), "tags", ())
    decisions = {samples.ids[0]: Decision(samples.ids[0], "relabel", "DET | VERB")}
    written = b"".join(edited_table(path, path.name, None, edits_of(decisions, samples, {}))).decode()
    assert written == UNIVERSAL.replace("ami\tNOUN", "ami\tVERB")
