"""Read any supported data set: `read_samples` finds the format by suffix and content.

Values of `SampleSet.source.format`, with the roles in `source.columns` that an export can rely on:
- csv, tsv, semicolon, jsonl: one file of rows (id, label, text, text_pair where there are any).
- image_folder: a folder, zip or tar with class folders (image: "file", label: "label" of the made-up rows).
- images_with_table: a folder, zip or tar of images and a table that names them (id, image, label, and table, its
  name); the table is `source.labels_path`, or where that is None the member `columns["table"]`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.readers.archives import Archive, open_archive
from oga_core.readers.assembly import Draft, ReadOptions, archive_fingerprint, file_fingerprint, finish
from oga_core.readers.images import has_images, open_text_table, read_images
from oga_core.readers.table_data import read_table
from oga_core.samples import Modality, SampleSet

__all__ = ["read_samples"]

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")


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
    """Open a data set without decoding its samples; raises `OgaError` with what to change."""
    path = Path(path)
    options = ReadOptions(
        Path(labels) if labels is not None else None, label_column, id_column, text_column, modality, max_samples
    )
    for given in filter(None, (path, options.labels)):
        if not given.exists():
            raise OgaError(f"There is no file or folder {given}. Check the path.")
    draft, fingerprint = _read(path, options)
    return finish(draft, options, fingerprint)


def _read(path: Path, options: ReadOptions) -> tuple[Draft, str]:
    if path.suffix.casefold() in TABLE_SUFFIXES and path.is_file():
        return read_table(open_text_table(path, path.name), path, options), file_fingerprint(path, options.labels)
    archive = open_archive(path)
    if has_images(archive):
        return read_images(archive, options), archive_fingerprint(archive, options.labels)
    raise OgaError(f"{path.name} holds no images and no table.")
