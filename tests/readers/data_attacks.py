"""Hostile and broken data files, built by code: `REFUSED` as a whole, or `UNREADABLE` in one sample.

Every builder gets an empty folder and returns the path to read. Payloads would create `marker` beside the data.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from reader_sets import encoded, image_table, picture, write_folder, write_saved_dataset, write_tar, write_zip

Builder = Callable[[Path], Path]
REFUSED: dict[str, tuple[Builder, str]] = {}
UNREADABLE: dict[str, tuple[Builder, str]] = {}
PNG = encoded(picture(0))
HEADER = "id,text,label\n"


def refused(message: str) -> Callable[[Builder], Builder]:
    """Register a builder whose file must be refused with a message that matches."""

    def register(builder: Builder) -> Builder:
        REFUSED[builder.__name__] = (builder, message)
        return builder

    return register


class Payload:
    """Unpickling this creates the marker."""

    def __init__(self, folder: Path):
        self.command = f"touch {folder / 'marker'}"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        import os

        return os.system, (self.command,)


def _zip_with(path: Path, name: str, content: bytes = PNG, mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("cat/0.png", PNG)
        info = zipfile.ZipInfo(name)
        info.filename = info.orig_filename = name
        info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return path


@refused(r"grows [\d,]+ times when unpacked")
def zip_bomb(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat/1.png", bytes(200_000_000))


@refused(r"unsafe name: '\.\./cat/1\.png'")
def zip_traversal(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "../cat/1.png")


@refused("unsafe name: '/etc/cat.png'")
def zip_absolute(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "/etc/cat.png")


@refused("unsafe name: 'C:/cat.png'")
def zip_drive(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "C:/cat.png")


@refused(r"unsafe name: 'cat\\\\1\.png'")
def zip_backslash(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat\\1.png")


@refused(r"unsafe name: 'cat/1\.png\\x00\.txt'")
def zip_nul(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png#.txt")
    path.write_bytes(path.read_bytes().replace(b"cat/1.png#.txt", b"cat/1.png\0.txt"))
    return path


@refused("is a symbolic link")
def zip_symlink(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat/1.png", b"/etc/passwd", 0o120777)


@refused("differs only in upper and lower case")
def zip_case_collision(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "Cat/0.PNG")


@refused(r"holds 'cat/0\.png' twice")
def zip_duplicate(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    path.write_bytes(path.read_bytes().replace(b"cat/1.png", b"cat/0.png"))
    return path


@refused("holds another archive, cat/more.zip")
def zip_nested(tmp: Path) -> Path:
    return _zip_with(tmp / "a.zip", "cat/more.zip")


@refused("is encrypted")
def zip_encrypted(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    data = bytearray(path.read_bytes())
    start = 0
    while (start := data.find(b"PK\x01\x02", start)) >= 0:
        data[start + 8] |= 1
        start += 4
    path.write_bytes(data)
    return path


@refused("unusual compression")
def zip_lzma(tmp: Path) -> Path:
    with zipfile.ZipFile(tmp / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cat/0.png", PNG)
    return tmp / "a.zip"


@refused("members that overlap")
def zip_overlap(tmp: Path) -> Path:
    """Two entries of the directory share one piece of data."""
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(data)
    return path


@refused("more than [0-9,]+ files")
def zip_huge_directory(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", 0xF0000000)
    path.write_bytes(data)
    return path


@refused("its end is missing")
def zip_cut(tmp: Path) -> Path:
    path = _zip_with(tmp / "a.zip", "cat/1.png")
    path.write_bytes(path.read_bytes()[:-30])
    return path


def _tar_with(path: Path, **fields: object) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, changes in (("cat/0.png", {}), ("cat/1.png", fields)):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            for field, value in changes.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(PNG))
    return path


@refused(r"unsafe name: '\.\./\.\./cat\.png'")
def tar_traversal(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", name="../../cat.png")


@refused("unsafe name: '/tmp/cat.png'")
def tar_absolute(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", name="/tmp/cat.png")


@refused("'cat/1.png' in a.tar is a link")
def tar_symlink(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0)


@refused("'cat/1.png' in a.tar is a link")
def tar_hardlink(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", type=tarfile.LNKTYPE, linkname="../../etc/passwd", size=0)


@refused("not an ordinary file")
def tar_device(tmp: Path) -> Path:
    return _tar_with(tmp / "a.tar", type=tarfile.CHRTYPE, size=0)


@refused("ends in the middle of cat/1.png|not a readable tar")
def tar_cut(tmp: Path) -> Path:
    path = _tar_with(tmp / "a.tar")
    path.write_bytes(path.read_bytes()[: 512 * 3 + 20])
    return path


@refused("times when unpacked")
def tar_bomb(tmp: Path) -> Path:
    return write_tar(tmp / "a.tar.gz", {"cat/0.png": bytes(60_000_000)}, "w:gz")


@refused(r"passwd\.png in .* is a link that leaves the folder")
def folder_symlink(tmp: Path) -> Path:
    folder = write_folder(tmp / "set", {"cat/0.png": PNG})
    (folder / "cat" / "passwd.png").symlink_to("/etc/passwd")
    return folder


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


@refused("There is no file or folder")
def webdataset_pipe(tmp: Path) -> Path:
    return Path(f"pipe:touch {tmp}/marker")


@refused("holds neither images nor texts")
def webdataset_payloads(tmp: Path) -> Path:
    payload = pickle.dumps(Payload(tmp))
    return write_tar(tmp / "a.tar", {"0.pyd": payload, "0.pth": payload, "0.pickle": payload, "0.cls": "1"})


def _csv(tmp: Path, content: str | bytes, name: str = "a.csv") -> Path:
    (tmp / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp / name


@refused("a.csv is empty")
def csv_empty(tmp: Path) -> Path:
    return _csv(tmp, "")


@refused("holds no samples")
def csv_only_header(tmp: Path) -> Path:
    return _csv(tmp, HEADER)


@refused(r"Line 3 of a\.csv holds a NUL character")
def csv_nul(tmp: Path) -> Path:
    return _csv(tmp, HEADER + "1,a,x\n2,b\0,x\n")


@refused("more than one column named 'label'")
def csv_duplicate_column(tmp: Path) -> Path:
    return _csv(tmp, "text,label,label\na,x,y\n")


@refused("a.csv is in UTF-16")
def csv_utf16(tmp: Path) -> Path:
    return _csv(tmp, (HEADER + "1,a,x\n").encode("utf-16"))


@refused(r"Line 3 of a\.csv is not UTF-8 \(byte 0xe9\)")
def csv_cp1252(tmp: Path) -> Path:
    return _csv(tmp, (HEADER + "1,a,x\n2,caf\u00e9,x\n").encode("cp1252"))


@refused(r"A quotation mark on line 3 of a\.csv is never closed")
def csv_open_quote(tmp: Path) -> Path:
    return _csv(tmp, HEADER + '1,a,x\n2,"b,x\n3,c,x\n')


@refused("line 3 has 4 fields, the header has 3")
def csv_ragged(tmp: Path) -> Path:
    return _csv(tmp, HEADER + "1,a,x\n2,b,x,y\n3,c,x\n")


@refused(r"A field that begins on line 2 of a\.csv is longer than 1,000,000 characters")
def csv_huge_field(tmp: Path) -> Path:
    return _csv(tmp, HEADER + "1," + "a" * 1_200_000 + ",x\n")


@refused("a line of more than 16,000,000 bytes")
def csv_huge_line(tmp: Path) -> Path:
    return _csv(tmp, HEADER + "1," * 10_000_000)


@refused("bare carriage return")
def csv_old_line_ends(tmp: Path) -> Path:
    return _csv(tmp, "text,label\ra,x\rb,y\r")


@refused(r"it has no label")
def csv_missing_labels(tmp: Path) -> Path:
    return _csv(tmp, HEADER + "1,a,x\n2,b,\n3,c,  \n")


@refused(r"uses 1 id\(s\) more than once: '7'")
def csv_duplicate_ids(tmp: Path) -> Path:
    return _csv(tmp, HEADER + "7,a,x\n7,b,x\n")


@refused("has no column 'label'; it has 'text', 'truth'. Choose the label column with --label-column")
def csv_no_label(tmp: Path) -> Path:
    return _csv(tmp, "text,truth\na,b\n")


@refused("several columns that could hold the label: 'label', 'target'")
def csv_two_labels(tmp: Path) -> Path:
    return _csv(tmp, "text,label,target\na,b,c\n")


@refused("a.csv is not what its name says: it is an archive")
def csv_is_zip(tmp: Path) -> Path:
    return write_zip(tmp / "a.csv", {"cat/0.png": PNG})


@refused("a.parquet is not what its name says: it is not a Parquet file")
def parquet_is_text(tmp: Path) -> Path:
    return _csv(tmp, HEADER, "a.parquet")


def _jsonl(tmp: Path, line: str | bytes) -> Path:
    data = line.encode() if isinstance(line, str) else line
    return _csv(tmp, b'{"text": "a", "label": "x"}\n' + data + b"\n", "a.jsonl")


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
    return _csv(tmp, '[{"text": "a", "label": "x"},\n{"text": "b", ', "a.json")


@refused("preference pairs")
def preferences(tmp: Path) -> Path:
    return _csv(tmp, '{"prompt": "a", "chosen": "b", "rejected": "c"}\n', "a.jsonl")


@refused("no class folders and no table of labels")
def loose_images(tmp: Path) -> Path:
    return write_folder(tmp / "set", {"0.png": PNG, "1.png": PNG})


@refused("has no image")
def table_of_strangers(tmp: Path) -> Path:
    table = "file_name,label\n../../etc/passwd,a\n/etc/passwd,b\n"
    return write_folder(tmp / "set", {"0.png": PNG, "metadata.csv": table})


@refused("Labels in a.npz must be 0 to 2.*seem to start at 1")
def outputs_from_one(tmp: Path) -> Path:
    np.savez(tmp / "a.npz", features=np.ones((3, 2)), logits=np.ones((3, 3)), labels=np.array([1, 2, 3]))
    return tmp / "a.npz"


@refused("save it as PNG or JPEG")
def svg(tmp: Path) -> Path:
    return write_folder(tmp / "set", {"cat/0.png": PNG, "cat/1.svg": "<svg onload='alert(1)'/>"})


def _png(width: int, height: int) -> bytes:
    """A PNG of few bytes that states any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(min(height * (1 + width // 8), 30_000_000)), 1)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _photo(kind: str = "JPEG") -> bytes:
    return encoded(picture(0, (64, 64)), kind)


def _unreadable_image(name: str, content: bytes, message: str) -> None:
    def build(tmp: Path) -> Path:
        return write_zip(tmp / "a.zip", {"cat/0.png": content})

    UNREADABLE[name] = (build, message)


def _postscript(tmp: Path) -> bytes:
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch {tmp}/marker) (%pipe%) run\n".encode()


_unreadable_image("image_52_megapixels", _png(8_000, 6_500), "8000 × 6500 pixels; at most 40,000,000")
_unreadable_image("image_169_megapixels", _png(13_000, 13_000), "at most 40,000,000")
_unreadable_image("image_3600_megapixels", _png(60_000, 60_000), "at most 40,000,000")
_unreadable_image("image_cut_jpeg", _photo()[:-400], "damaged image")
_unreadable_image("image_cut_png", _photo("PNG")[:-400], "damaged image")
_unreadable_image("image_bit_rot", _photo("PNG")[:200] + b"\0" * 50 + _photo("PNG")[250:], "damaged image")
_unreadable_image("image_empty", b"", "the file is empty")
_unreadable_image("image_html", b"<html><script>alert(1)</script></html>", "not an image in a known format")
_unreadable_image("image_svg_inside", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image in a known format")


def _eps(tmp: Path) -> Path:
    return write_zip(tmp / "a.zip", {"cat/0.jpg": _postscript(tmp)})


def _lying_header(tmp: Path) -> Path:
    """The directory states a size smaller than what the data unpacks to."""
    path = write_zip(tmp / "a.zip", {"cat/0.png": bytes(5_000_000)})
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    return path


def _zip_bit_rot(tmp: Path) -> Path:
    """A pixel of a stored image differs from what the checksum says."""
    content = encoded(picture(0), "BMP")
    path = tmp / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/0.bmp", content)
    path.write_bytes(path.read_bytes().replace(content, content[:-1] + bytes([content[-1] ^ 1])))
    return path


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


UNREADABLE["image_eps"] = (_eps, "not an image in a known format")
UNREADABLE["zip_lying_header"] = (_lying_header, "is not what the archive states")
UNREADABLE["zip_bit_rot"] = (_zip_bit_rot, "is not what the archive states")
UNREADABLE["arrow_path"] = (_arrow_path, "holds only the path .*secret.png")
UNREADABLE["arrow_url"] = (_arrow_url, "holds only the path 'http://127.0.0.1:9/cat.png'")


def many_entries(path: Path, count: int) -> Path:
    """Write a zip of `count` empty images fast."""
    names = [b"cat/%06d.png" % i for i in range(count)]
    local = struct.Struct("<4sHHHHHIIIHH")
    central = struct.Struct("<4sHHHHHHIIIHHHHHII")
    body = b"".join(local.pack(b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name for name in names)
    step = local.size + len(names[0])
    directory = b"".join(
        central.pack(b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, i * step) + name
        for i, name in enumerate(names)
    )
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), len(body))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0xFFFFFFFF, 0)
    path.write_bytes(body + directory + end64 + locator + end)
    return path
