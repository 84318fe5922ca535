"""Hostile and broken tables, and files that are no data at all."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

from data_attack_files import HEADER, PNG, Payload, csv_file, refused
from reader_sets import write_zip


@refused("of a kind that can run programs")
def pickled(tmp: Path) -> Path:
    (tmp / "a.pkl").write_bytes(pickle.dumps(Payload(tmp)))
    return tmp / "a.pkl"


@refused("is compressed. Unpack it")
def gzipped_table(tmp: Path) -> Path:
    (tmp / "a.csv.gz").write_bytes(gzip.compress(HEADER.encode()))
    return tmp / "a.csv.gz"


@refused("is a spreadsheet. Save the sheet as CSV")
def spreadsheet(tmp: Path) -> Path:
    return write_zip(tmp / "a.xlsx", {"xl/workbook.xml": "<x/>"})


@refused("of no known format")
def unknown_format(tmp: Path) -> Path:
    (tmp / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    return tmp / "a.h5"


@refused("a.csv is empty")
def csv_empty(tmp: Path) -> Path:
    return csv_file(tmp, "")


@refused("holds no samples")
def csv_only_header(tmp: Path) -> Path:
    return csv_file(tmp, HEADER)


@refused(r"Line 3 of a\.csv holds a NUL character")
def csv_nul(tmp: Path) -> Path:
    return csv_file(tmp, HEADER + "1,a,x\n2,b\0,x\n")


@refused("more than one column named 'label'")
def csv_duplicate_column(tmp: Path) -> Path:
    return csv_file(tmp, "text,label,label\na,x,y\n")


@refused("a.csv is in UTF-16")
def csv_utf16(tmp: Path) -> Path:
    return csv_file(tmp, (HEADER + "1,a,x\n").encode("utf-16"))


@refused(r"Line 3 of a\.csv is not UTF-8 \(byte 0xe9\)")
def csv_cp1252(tmp: Path) -> Path:
    return csv_file(tmp, (HEADER + "1,a,x\n2,caf\u00e9,x\n").encode("cp1252"))


@refused(r"A quotation mark on line 3 of a\.csv is never closed")
def csv_open_quote(tmp: Path) -> Path:
    return csv_file(tmp, HEADER + '1,a,x\n2,"b,x\n3,c,x\n')


@refused("line 3 has 4 fields, the header has 3")
def csv_ragged(tmp: Path) -> Path:
    return csv_file(tmp, HEADER + "1,a,x\n2,b,x,y\n3,c,x\n")


@refused(r"A field that begins on line 2 of a\.csv is longer than 1,000,000 characters")
def csv_huge_field(tmp: Path) -> Path:
    return csv_file(tmp, HEADER + "1," + "a" * 1_200_000 + ",x\n")


@refused("a line of more than 16,000,000 bytes")
def csv_huge_line(tmp: Path) -> Path:
    return csv_file(tmp, HEADER + "1," * 10_000_000)


@refused("bare carriage return")
def csv_old_line_ends(tmp: Path) -> Path:
    return csv_file(tmp, "text,label\ra,x\rb,y\r")


@refused(r"it has no label")
def csv_missing_labels(tmp: Path) -> Path:
    return csv_file(tmp, HEADER + "1,a,x\n2,b,\n3,c,  \n")


@refused(r"uses 1 id\(s\) more than once: '7'")
def csv_duplicate_ids(tmp: Path) -> Path:
    return csv_file(tmp, HEADER + "7,a,x\n7,b,x\n")


@refused("has no column 'label'; it has 'text', 'truth'. Choose the label column with --label-column")
def csv_no_label(tmp: Path) -> Path:
    return csv_file(tmp, "text,truth\na,b\n")


@refused("several columns that could hold the label: 'label', 'target'")
def csv_two_labels(tmp: Path) -> Path:
    return csv_file(tmp, "text,label,target\na,b,c\n")


@refused("a.csv is not what its name says: it is an archive")
def csv_is_zip(tmp: Path) -> Path:
    return write_zip(tmp / "a.csv", {"cat/0.png": PNG})


@refused("a.parquet is not what its name says: it is not a Parquet file")
def parquet_is_text(tmp: Path) -> Path:
    return csv_file(tmp, HEADER, "a.parquet")


def _jsonl(tmp: Path, line: str | bytes) -> Path:
    data = line.encode() if isinstance(line, str) else line
    return csv_file(tmp, b'{"text": "a", "label": "x"}\n' + data + b"\n", "a.jsonl")


@refused("line 2: it is nested too deeply")
def json_deep(tmp: Path) -> Path:
    return _jsonl(tmp, '{"text": ' + "[" * 200_000)


@refused("line 2: an integer of 5,000 digits")
def json_long_integer(tmp: Path) -> Path:
    return _jsonl(tmp, '{"text": "a", "label": ' + "9" * 5000 + "}")


@refused("line 2: NaN is not a JSON value")
def json_nan(tmp: Path) -> Path:
    return _jsonl(tmp, '{"text": "a", "label": NaN}')


@refused("line 2: -Infinity is not a JSON value")
def json_infinity(tmp: Path) -> Path:
    return _jsonl(tmp, '{"text": "a", "label": -Infinity}')


@refused("line 2: the key 'label' is there twice")
def json_duplicate_key(tmp: Path) -> Path:
    return _jsonl(tmp, '{"text": "a", "label": "x", "label": "y"}')


@refused("line 2: it holds half of a surrogate pair")
def json_surrogate(tmp: Path) -> Path:
    return _jsonl(tmp, '{"text": "\\ud800", "label": "x"}')


@refused("line 2: byte 0xff is not UTF-8")
def json_bytes(tmp: Path) -> Path:
    return _jsonl(tmp, b'{"text": "\xff", "label": "x"}')


@refused("line 2: not a JSON object")
def json_list(tmp: Path) -> Path:
    return _jsonl(tmp, "[1, 2]")


@refused(r"not valid JSON: in the row at line 2")
def json_array_cut(tmp: Path) -> Path:
    return csv_file(tmp, '[{"text": "a", "label": "x"},\n{"text": "b", ', "a.json")


@refused("a.json is one JSON object. Give its rows as an array")
def json_one_object(tmp: Path) -> Path:
    return csv_file(tmp, '{\n  "data": [{"text": "a", "label": "x"}]\n}\n', "a.json")


@refused("a.json is one JSON object. Give its rows as an array")
def json_one_object_on_a_line(tmp: Path) -> Path:
    return csv_file(tmp, '{"data": [{"text": "a", "label": "x"}]}', "a.json")


@refused("a.json is not an array of JSON objects")
def json_scalar(tmp: Path) -> Path:
    return csv_file(tmp, '"text"', "a.json")


@refused("a.json holds no JSON objects, one a line. Line 1: not a JSON object")
def json_array_of_numbers(tmp: Path) -> Path:
    return csv_file(tmp, "[1, 2, 3]", "a.json")


@refused("a.json holds no JSON objects")
def json_empty_array(tmp: Path) -> Path:
    return csv_file(tmp, "[]", "a.json")


@refused("a.json is not an array of JSON objects")
def json_blank(tmp: Path) -> Path:
    return csv_file(tmp, " \n" * 100, "a.json")


@refused("a.json is in UTF-16")
def json_utf16(tmp: Path) -> Path:
    return csv_file(tmp, '[{"text": "a", "label": "x"}]'.encode("utf-16"), "a.json")


@refused("holds a NUL character in the id 'a\\\\x00b'")
def json_nul_in_an_id(tmp: Path) -> Path:
    return _jsonl(tmp, '{"id": "a\\u0000b", "text": "b", "label": "y"}')


@refused("holds a NUL character in the label 'x\\\\x00'")
def json_nul_in_a_label(tmp: Path) -> Path:
    return _jsonl(tmp, '{"text": "b", "label": "x\\u0000"}')
