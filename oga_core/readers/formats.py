"""Tell what a file is by its ending and its first bytes."""

from __future__ import annotations

from pathlib import Path

from oga_core.errors import OgaError
from oga_core.readers.tables.conll import ENDINGS as CONLL

TEXT_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", *CONLL)
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
FORMATS = (
    "an image folder or .zip, .csv, .tsv, .jsonl, .json, .conll, .parquet, .npz, .npy, .arrow, "
    "a Hugging Face save_to_disk folder, or a WebDataset .tar or folder of them"
)

_SUFFIXES = {
    "text table": TEXT_TABLES,
    "parquet": (".parquet", ".pq"),
    "npy": (".npy",),
    "arrow": (".arrow", ".feather"),
    "archive": (*ARCHIVES, ".npz"),
}
_CALLED = {
    "text table": "a text file",
    "parquet": "a Parquet file",
    "npy": "a NumPy array",
    "arrow": "an Arrow file",
    "archive": "an archive (zip, tar, or an Office file)",
}


def kind_of_file(path: Path) -> str:
    """Return what a file is, one of `_SUFFIXES`; suffix and content must agree."""
    if not path.is_file():
        raise OgaError(f"{str(path)!r} is not an ordinary file or folder.")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise OgaError(f"{path.name} is empty. Give {FORMATS}.")
    by_content = _kind_by_content(head)
    name = path.name.casefold()
    _refuse_known(name, path.name)
    by_suffix = next((kind for kind, suffixes in _SUFFIXES.items() if name.endswith(suffixes)), None)
    if by_suffix is None and by_content is None:
        raise OgaError(f"{path.name} is of no known format. Give {FORMATS}.")
    has_no_mark = by_content is None and by_suffix in ("text table", "arrow")  # text and Arrow streams begin anyhow
    if by_suffix is not None and by_content != by_suffix and not has_no_mark:
        really = f"it is {_CALLED[by_content]}" if by_content else f"it is not {_CALLED[by_suffix]}"
        raise OgaError(f"{path.name} is not what its name says: {really}. Give it the right ending, or make it again.")
    return by_suffix or by_content or ""


def is_data_file(path: Path, head: bytes) -> bool:
    """Whether a file is data by its ending or its first bytes; `kind_of_file` then says whether the two agree."""
    endings = tuple(ending for endings in _SUFFIXES.values() for ending in endings)
    return path.name.casefold().endswith(endings) or _kind_by_content(head) in ("parquet", "npy", "arrow")


def _refuse_known(name: str, shown: str) -> None:
    if name.endswith((".xlsx", ".xls", ".ods")):
        raise OgaError(f"{shown} is a spreadsheet. Save the sheet as CSV (in Excel: “CSV UTF-8”).")
    if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".joblib")):
        raise OgaError(
            f"{shown} is of a kind that can run programs, and is not read. Save the data as .npz or .parquet."
        )
    if name.endswith((".gz", ".bz2", ".xz", ".zst")) and not name.endswith(ARCHIVES):
        raise OgaError(f"{shown} is compressed. Unpack it, and give the file itself.")


def _kind_by_content(head: bytes) -> str | None:
    marks = {b"PK\x03\x04": "archive", b"PK\x05\x06": "archive", b"PAR1": "parquet", b"\x93NUMPY": "npy"}
    marks |= {b"ARROW1": "arrow", b"\x1f\x8b": "archive", b"BZh": "archive", b"\xfd7zXZ": "archive"}
    if head[257:262] == b"ustar":
        return "archive"
    return next((kind for mark, kind in marks.items() if head.startswith(mark)), None)
