"""Columns and parts of a data set by their usual names, and what is said where none or several could be meant."""

from __future__ import annotations

import pytest

from oga_core.errors import OgaError
from oga_core.readers.columns import candidates, check_header, choose, missing, recognise, some, text_pair, train_part
from oga_core.readers.tables.content import decode


def test_names_count_without_regard_to_case_and_the_first_of_two_alike_is_meant() -> None:
    assert recognise("label", ["text", " Target "]) == " Target "
    assert recognise("label", ["Label", "LABEL"]) == "Label"
    assert recognise("label", ["colour"]) is None
    assert text_pair(["Premise", "PREMISE", "Hypothesis"]) == ("Premise", "Hypothesis")
    assert text_pair(["premise", "label"]) is None


def test_the_most_usual_name_comes_first_whatever_the_order_of_the_columns() -> None:
    assert candidates("label", ["y", "category", "label"]) == ["label", "category", "y"]
    assert candidates("id", ["guid", "id"]) == ["id", "guid"]


def test_several_that_could_be_meant_need_a_choice_but_an_id_does_not() -> None:
    with pytest.raises(
        OgaError, match=r"a\.csv has several columns that could hold the label: 'label', 'y'.*--label-c"
    ):
        choose("label", ["y", "label"], None, "a.csv")
    assert choose("label", ["y", "label"], "y", "a.csv") == "y"
    assert choose("id", ["guid", "id"], None, "a.csv") == "id"
    assert choose("text", ["x"], None, "a.csv") is None


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(OgaError, match=r"a\.csv has no column 'klass'; it has 'x', 'y'\. Choose the label column with"):
        choose("label", ["x", "y"], "klass", "a.csv")
    assert str(missing("image", ["x"], "a.csv")) == (
        "a.csv has no column 'file_name'; it has 'x'. Name one of its columns so."
    )


def test_the_part_for_training_is_read() -> None:
    assert train_part(["test", "Train"], "set") == "Train"
    assert train_part(["dev"], "set") == "dev"
    with pytest.raises(OgaError, match=r"set has the parts 'dev', 'test' but no 'train'"):
        train_part(["test", "dev"], "set")


def test_two_columns_of_one_name_are_refused() -> None:
    check_header("a.csv", ["x", "X"])
    with pytest.raises(OgaError, match=r"more than one column named 'x', 'y'"):
        check_header("a.csv", ["y", "x", "x", "y", "z"])


def test_of_many_names_a_message_shows_some() -> None:
    assert some(["a", "b"]) == "'a', 'b'"
    assert some([str(i) for i in range(15)], shown=2) == "'0', '1' and 13 more"


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"a\nb\nc\0\n", 1, "Line 3 of a.json holds a NUL"),
        (b"a\nb\0\n", 7, "Line 8 of a.json holds a NUL"),
        (b"a\nb\xff\n", 7, r"Line 8 of a.json is not UTF-8 \(byte 0xff\)"),
        ("a".encode("utf-16"), 1, "a.json is in UTF-16"),
    ],
)
def test_what_is_no_text_is_found_in_its_line(data: bytes, line: int, message: str) -> None:
    with pytest.raises(OgaError, match=message):
        decode(data, "a.json", line)


def test_a_byte_order_mark_counts_at_the_beginning_only() -> None:
    assert decode(b"\xef\xbb\xbfa", "a.json") == "a"
    assert decode(b"\xef\xbb\xbfa", "a.json", line=2) == "\ufeffa"
