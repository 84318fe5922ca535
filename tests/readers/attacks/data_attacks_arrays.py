"""Hostile arrays, Parquet and Arrow files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data_attack_files import PNG, Payload, refused, unreadable
from reader_sets import image_table, write_saved_dataset, write_zip


@refused(r"grows [\d,]+ times when unpacked")
def npz_bomb(tmp: Path) -> Path:
    np.savez_compressed(tmp / "a.npz", X=np.zeros((40_000_000,), np.uint8), y=np.zeros(3))
    return tmp / "a.npz"


def _npy(header: dict[str, object], data: bytes = b"") -> bytes:
    text = repr(header).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@refused("does not fit its size")
def npz_huge_shape(tmp: Path) -> Path:
    member = _npy({"descr": "<f8", "fortran_order": False, "shape": (10**11,)})
    return write_zip(tmp / "a.npz", {"X.npy": member, "y.npy": member})


@refused(r"np\.array\(labels, dtype=str\)")
def npz_objects(tmp: Path) -> Path:
    labels = np.array([Payload(tmp), None], dtype=object)
    np.savez(tmp / "a.npz", X=np.zeros((2, 3)), y=labels)
    return tmp / "a.npz"


@refused(r"np\.array\(labels, dtype=str\)")
def npy_objects(tmp: Path) -> Path:
    np.save(tmp / "a.npy", np.array([Payload(tmp), None], dtype=object), allow_pickle=True)
    (tmp / "labels.csv").write_text("label\na\nb")
    return tmp / "a.npy"


@refused("50,000,000 rows; at most")
def parquet_bomb(tmp: Path) -> Path:
    """One row group of 25 million rows out of one dictionary entry, named twice."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(25_000_000, np.int8)), pa.array(["x" * 1000]))
    table = pa.table({"text": text, "label": text})
    with pq.ParquetWriter(tmp / "a.parquet", table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table)
    return tmp / "a.parquet"


@refused("grows too large when decoded")
def parquet_wide_bomb(tmp: Path) -> Path:
    label = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int8)), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"text": ["a"] * 50_000, "label": label}), tmp / "a.parquet", store_schema=False)
    return tmp / "a.parquet"


@refused("A label of a.parquet has 100,000 characters")
def parquet_dictionary_bomb(tmp: Path) -> Path:
    label = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int8)), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"text": ["a"] * 50_000, "label": label}), tmp / "a.parquet")
    return tmp / "a.parquet"


@refused("a.parquet cannot be read")
def parquet_damaged(tmp: Path) -> Path:
    pq.write_table(pa.table({"text": ["a"], "label": ["b"]}), tmp / "a.parquet")
    data = bytearray((tmp / "a.parquet").read_bytes())
    data[-60:-20] = b"\xff" * 40
    (tmp / "a.parquet").write_bytes(data)
    return tmp / "a.parquet"


@refused(r"names the file '\.\./secret\.arrow', which is not beside it")
def state_outside(tmp: Path) -> Path:
    folder = write_saved_dataset(tmp / "set", image_table())
    (folder / "data-00000-of-00002.arrow").rename(tmp / "secret.arrow")
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../secret.arrow"}]}))
    return folder


@refused("cannot be read")
def arrow_bad_offsets(tmp: Path) -> Path:
    """Offsets of strings that point far outside their buffer: a crash where they are trusted."""
    folder = write_saved_dataset(tmp / "set", pa.table({"text": ["abcdefgh"] * 8, "label": ["a"] * 8}))
    file = folder / "data-00000-of-00002.arrow"
    offsets = np.arange(0, 40, 8, dtype=np.int32).tobytes()
    data = file.read_bytes()
    assert offsets in data
    file.write_bytes(data.replace(offsets, np.array([0, 8, 2**30, 2**30 + 8, 2**30 + 16], np.int32).tobytes()))
    return folder


@refused("Labels in a.npz must be 0 to 2.*seem to start at 1")
def outputs_from_one(tmp: Path) -> Path:
    np.savez(tmp / "a.npz", features=np.ones((3, 2)), logits=np.ones((3, 3)), labels=np.array([1, 2, 3]))
    return tmp / "a.npz"


def _arrow_value(tmp: Path, place: str) -> Path:
    table = pa.table({"image": [{"bytes": None, "path": place}], "label": ["a"]})
    table = table.cast(
        pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "label": pa.string()})
    )
    return write_saved_dataset(tmp / "set", table)


def _arrow_path(tmp: Path) -> Path:
    (tmp / "secret.png").write_bytes(PNG)
    return _arrow_value(tmp, str(tmp / "secret.png"))


def _arrow_url(tmp: Path) -> Path:
    return _arrow_value(tmp, "http://127.0.0.1:9/cat.png")


unreadable("arrow_path", _arrow_path, "holds only the path .*secret.png")
unreadable("arrow_url", _arrow_url, "holds only the path 'http://127.0.0.1:9/cat.png'")
