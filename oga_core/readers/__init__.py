"""Read any supported data set: `read_samples` finds the format by suffix and content.

Values of `SampleSet.source.format`, and the roles in `source.columns` that an export can rely on:
- csv, tsv, semicolon, jsonl, json, parquet: one file of rows (id, label, text, text_pair, where there are any).
- arrow: a `save_to_disk` folder or zip, or one Arrow file (the same roles).
- image_folder: a folder, zip or tar with class folders (image: "file", label: "label" of the made-up rows; folder:
  what lies before the class folders in every name).
- images_with_table: a folder, zip or tar of images and a table that names them (id, image, label, and table, its
  name); the table is `source.labels_path`, or where that is None the member `columns["table"]`.
- npz, npy: arrays (data, label, id: names of arrays); labels from `source.labels_path` where there is one.
- outputs_npz, outputs_parquet: a bundle of features, logits and labels.
- webdataset: a tar of grouped members (label: the ending of the label's member).
Image columns of parquet and arrow have the role image. A table of labels given beside rows or arrays is
`source.labels_path`.
"""

from __future__ import annotations

from pathlib import Path

from oga_core.errors import OgaError
from oga_core.readers.archives import Archive, is_zip, open_archive
from oga_core.readers.arrays import NpzArrays, read_npy_samples, read_npz
from oga_core.readers.arrow import ParquetTable, open_arrow_file, open_saved_dataset
from oga_core.readers.assembly import Draft, ReadOptions, archive_fingerprint, file_fingerprint, finish
from oga_core.readers.columns import some
from oga_core.readers.image_data import preview_image
from oga_core.readers.images import ImageInputs, has_images, open_text_table, read_images
from oga_core.readers.outputs import OutputsBundle, is_outputs, read_output_samples, read_outputs
from oga_core.readers.table_data import read_table
from oga_core.readers.webdataset import is_webdataset, read_webdataset
from oga_core.samples import Modality, SampleSet, Subset

__all__ = ["OutputsBundle", "preview_image", "read_outputs", "read_samples", "reading_notes"]

TEXT_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json")
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
FORMATS = (
    "an image folder or .zip, .csv, .tsv, .jsonl, .json, .parquet, .npz, .npy, .arrow, "
    "a Hugging Face save_to_disk folder, or a WebDataset .tar"
)


def read_samples(
    path: Path | str,
    *,
    labels: Path | str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    text_column: str | None = None,
    modality: Modality | None = None,
    max_samples: int | None = None,
) -> SampleSet:
    """Open a data set of any supported format without decoding its samples.

    labels: a table of labels beside the data; the columns are recognised by their usual names where they are None;
    a pair of texts is "first,second"; max_samples takes that many, evenly spaced.
    Raises `OgaError` that says what is wrong and what to do.
    """
    path = Path(path)
    options = ReadOptions(
        Path(labels) if labels is not None else None, label_column, id_column, text_column, modality, max_samples
    )
    for given in filter(None, (path, options.labels)):
        if not given.exists():
            raise OgaError(f"There is no file or folder {str(given)!r}. Check the path.")
    if options.labels is not None and options.labels.is_dir():
        raise OgaError(f"The table of labels {str(options.labels)!r} is a folder. Give a .csv, .tsv or .jsonl file.")
    try:
        draft, fingerprint = _read_folder(path, options) if path.is_dir() else _read_file(path, options)
    except PermissionError as error:
        raise OgaError(f"{error.filename} cannot be read: permission denied. Change its permissions.") from None
    return finish(draft, options, fingerprint)


def reading_notes(samples: SampleSet) -> tuple[str, ...]:
    """Return the notes of a set together with what decoding its images had to change so far."""
    inputs = samples.inputs.base if isinstance(samples.inputs, Subset) else samples.inputs
    return samples.notes + (inputs.notes if isinstance(inputs, ImageInputs) else ())


def _read_folder(path: Path, options: ReadOptions) -> tuple[Draft, str]:
    archive = open_archive(path)
    return _read_archive(archive, options), archive_fingerprint(archive, options.labels)


def _read_file(path: Path, options: ReadOptions) -> tuple[Draft, str]:
    kind = _kind(path)
    if kind == "text table":
        draft = read_table(open_text_table(path, path.name), path, options)
    elif kind == "parquet":
        table = ParquetTable(path)
        bundle = is_outputs(table.columns) and options.wants("outputs")
        draft = read_output_samples(path, options) if bundle else read_table(table, path, options)
    elif kind == "npy":
        draft = read_npy_samples(path, options)
    elif kind == "arrow":
        draft = read_table(open_arrow_file(path), path, options)
    else:
        draft = _read_archive(open_archive(path), options)
    return draft, file_fingerprint(path, options.labels)


def _read_archive(archive: Archive, options: ReadOptions) -> Draft:
    path = archive.path
    saved = open_saved_dataset(archive)
    if saved is not None:
        return read_table(saved, path, options)
    if path.is_file() and is_zip(path) and archive.names and all(name.endswith(".npy") for name in archive.names):
        arrays = NpzArrays(path)
        bundle = is_outputs(list(arrays)) and options.wants("outputs")
        return read_output_samples(path, options) if bundle else read_npz(arrays, path, options)
    if path.is_file() and not is_zip(path) and options.labels is None and is_webdataset(archive):
        return read_webdataset(archive, options)
    if has_images(archive):
        return read_images(archive, options)
    if not archive.names:
        raise OgaError(f"{path.name} is empty. Give {FORMATS}.")
    tables = [name for name in archive.names if name.casefold().endswith((*TEXT_TABLES, ".parquet", ".npz"))]
    if tables:
        raise OgaError(f"{path.name} holds no images, but {some(tables, 5)}. Give that file itself.")
    raise OgaError(f"{path.name} holds no data that can be read; it has {some(archive.names, 5)}. Give {FORMATS}.")


def _kind(path: Path) -> str:
    """Return what a file is; suffix and content must agree."""
    if not path.is_file():
        raise OgaError(f"{str(path)!r} is not an ordinary file or folder.")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise OgaError(f"{path.name} is empty. Give {FORMATS}.")
    found = _kind_by_content(head)
    name = path.name.casefold()
    _refuse_known(name, path.name)
    by_suffix = next((kind for kind, suffixes in _SUFFIXES.items() if name.endswith(suffixes)), None)
    if by_suffix is None and found is None:
        raise OgaError(f"{path.name} is of no known format. Give {FORMATS}.")
    if by_suffix is not None and found != by_suffix and not (found is None and by_suffix in ("text table", "arrow")):
        really = f"it is {_CALLED[found]}" if found else f"it is not {_CALLED[by_suffix]}"
        raise OgaError(f"{path.name} is not what its name says: {really}. Give it the right ending, or make it again.")
    return by_suffix or found or ""


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
