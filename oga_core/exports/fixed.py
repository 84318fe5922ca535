"""The fixed data set in the format it came in: relabelled rows changed, removed rows left out, all else untouched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.exports.archives import edited_members
from oga_core.exports.arrays import edited_label_file, edited_npy, edited_npz, write_edited_npz
from oga_core.exports.columns import edited_arrow, write_edited_parquet
from oga_core.exports.decided import Decided
from oga_core.exports.members import Member, with_ending, write_file, write_members, write_shards, write_tar, write_zip
from oga_core.exports.rows import edited_table
from oga_core.exports.segmentation.masked_members import masked_members
from oga_core.readers.archives import TarShards, is_zip, open_archive
from oga_core.readers.archives.names import folded
from oga_core.readers.columns import choose, recognise
from oga_core.readers.tables import open_text_table
from oga_core.review.edits import Edits

TEXT_TABLES = ("csv", "tsv", "semicolon", "jsonl", "json", "conll")
ARRAYS = ("npy", "npz", "outputs_npz")


def write_fixed(decided: Decided, out: Path, spreadsheet_safe: bool = False) -> Path:
    """Write the fixed data set and return its path, which ends as the original does.

    Images with a table of labels beside them: the table alone, since it says which images belong and what they are.
    spreadsheet_safe: for the list of masks to draw again; the data themselves stay as they are.
    """
    source = decided.samples.source
    if decided.samples.masks is not None:
        return _write_archive(decided, out, spreadsheet_safe)
    if source.labels_path is not None and source.format == "images_with_table":
        table = edited_table(source.labels_path, source.labels_path.name, source.columns["label"], decided.edits)
        return _write_chunks(out, source.labels_path.suffix, table)
    if source.labels_path is not None:
        return write_members(out, _data_and_labels(decided, source.labels_path))
    if source.format in ("image_folder", "images_with_table", "webdataset") or source.path.is_dir():
        return _write_archive(decided, out)
    if source.format == "arrow" and is_zip(source.path):
        return _write_archive(decided, out)
    return _write_one_file(decided, out)


def _write_one_file(decided: Decided, out: Path) -> Path:
    source = decided.samples.source
    label = source.columns.get("label")
    if source.format in TEXT_TABLES:
        return _write_chunks(out, source.path.suffix, edited_table(source.path, source.path.name, label, decided.edits))
    if source.format in ARRAYS:
        return write_file(out, ".npz", lambda file: write_edited_npz(source, file, decided.edits))
    if source.format == "arrow":
        return _write_chunks(
            out, source.path.suffix, [edited_arrow(source.path.read_bytes(), label, decided.edits, 0)[0]]
        )
    return write_file(out, ".parquet", lambda file: write_edited_parquet(source.path, file, label, decided.edits))


def _write_archive(decided: Decided, out: Path, spreadsheet_safe: bool = False) -> Path:
    """Write a folder as a folder or zip, a zip as a zip, a tar as a tar."""
    source = decided.samples.source.path
    archive = open_archive(source)
    if decided.samples.masks is not None:
        edited = masked_members(archive, decided, spreadsheet_safe)
    else:
        edited = edited_members(archive, decided.samples, decided.edits)
    members = decided.counted(edited, len(archive.names))
    if isinstance(archive, TarShards):
        placed = ((archive.shard_of(name), content) for name, content in members)
        write_shards(out, ((shard, (name, content)) for (shard, name), content in placed))
        return out
    if source.is_dir():
        return write_members(out, members)
    if is_zip(source):
        target = with_ending(out, ".zip")
        write_zip(target, members)
        return target
    target = with_ending(out, ".tar" + source.name.partition(".tar")[2] if ".tar" in source.name else source.suffix)
    write_tar(target, members)
    return target


def _data_and_labels(decided: Decided, labels: Path) -> Iterator[Member]:
    """Yield the edited labels, and the data without the removed rows beside, since rows are matched by them."""
    source = decided.samples.source
    edits = decided.edits
    name = f"labels_{labels.name}" if folded(labels.name) == folded(source.path.name) else labels.name
    if source.format in ARRAYS:
        is_npy = source.format == "npy"
        yield source.path.name, edited_npy(source.path, edits) if is_npy else edited_npz(source, edits)
        if labels.suffix.casefold() == ".npy":
            yield name, edited_label_file(labels, edits)
        else:
            yield name, b"".join(edited_table(labels, labels.name, _label_column(decided, labels), edits))
    elif source.format in TEXT_TABLES:
        yield source.path.name, b"".join(edited_table(source.path, source.path.name, None, edits.only_removed()))
        yield name, b"".join(_labels_by_id(decided, labels))
    else:
        raise OgaError(f"{source.path.name} with labels beside it cannot be written back. Export it as csv or parquet.")


def _label_column(decided: Decided, labels: Path) -> str:
    columns = open_text_table(labels).columns
    return choose("label", columns, decided.label_column, labels.name) or columns[0]


def _labels_by_id(decided: Decided, labels: Path) -> Iterator[bytes]:
    """Return a table of labels with the edits, which are matched by the ids of both tables."""
    table = open_text_table(labels)
    id_column = decided.samples.source.columns["id"]
    key = id_column if id_column in table.columns else recognise("id", table.columns)
    assert key is not None
    scan = table.scan([key])
    row_of = dict(zip(map(str, scan.values[key]), scan.row_numbers.tolist(), strict=True))
    edits = Edits(
        label_of_row={row_of[sample_id]: label for sample_id, label in decided.edits.labels.items()},
        removed_rows=frozenset(row_of[sample_id] for sample_id in decided.edits.removed),
    )
    return edited_table(labels, labels.name, _label_column(decided, labels), edits)


def _write_chunks(out: Path, suffix: str, content: Iterable[bytes]) -> Path:
    return write_file(out, suffix, lambda file: file.writelines(content))
