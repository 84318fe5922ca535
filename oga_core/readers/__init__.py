"""Read any supported data set: `read_samples` finds the format by suffix and content.

Values of `SampleSet.source.format`, and the roles in `source.columns` that an export can rely on:
- csv, tsv, semicolon, jsonl, json, conll, parquet: one file of rows (id, label, text, text_pair, words, where there are
  any).
- arrow: a `save_to_disk` folder or zip, or one Arrow file (the same roles).
- image_folder: a folder, zip or tar with class folders (image: "file", label: "label" of the made-up rows; folder:
  what lies before the class folders in every name).
- images_with_table: a folder, zip or tar of images and a table that names them (id, image, label, and table, its
  name); the table is `source.labels_path`, or where that is None the member `columns["table"]`.
- images_with_masks: a folder, zip or tar of images and masks, in folders of these names or named in a table (id, image,
  mask, and table, its name; the table is `source.labels_path`, or where that is None the member `columns["table"]`).
- npz, npy: arrays (data, label, id: names of arrays); labels from `source.labels_path` where there is one.
- outputs_npz, outputs_parquet: a bundle of features, logits and labels.
- webdataset: a tar of grouped members, or a folder of such tars (label: the ending of the label's member).
Image columns of parquet and arrow have the role image. A table of labels given beside rows or arrays is
`source.labels_path`.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.readers.archives import Archive, TarShards, is_zip, open_archive
from oga_core.readers.arrays import read_npy_samples, read_npz
from oga_core.readers.assembly import Draft, ReadOptions, archive_fingerprint, file_fingerprint, finish
from oga_core.readers.columns import recognise, some
from oga_core.readers.formats import ARCHIVES, FORMATS, TEXT_TABLES, kind_of_file
from oga_core.readers.image_data import preview_image
from oga_core.readers.image_inputs import ImageInputs
from oga_core.readers.images import has_images, read_images, table_inside
from oga_core.readers.npy import NpzArrays, label_list, read_npy
from oga_core.readers.outputs import OutputsBundle, is_outputs, read_output_samples, read_outputs
from oga_core.readers.table_data import labels_in_order, read_table
from oga_core.readers.tables import Table, open_text_table
from oga_core.readers.tables.arrow import ParquetTable, open_arrow_file
from oga_core.readers.tables.saved import open_saved_dataset
from oga_core.readers.webdataset import is_webdataset, read_webdataset
from oga_core.samples import Modality, SampleSet, Subset

OPTIONS = frozenset(field.name for field in fields(ReadOptions))

__all__ = [
    "ARCHIVES",
    "OPTIONS",
    "TEXT_TABLES",
    "OutputsBundle",
    "preview_image",
    "read_outputs",
    "read_samples",
    "reading_notes",
    "unreadable",
]


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
    for file in filter(None, (path, options.labels)):
        if not file.exists():
            raise OgaError(f"There is no file or folder {str(file)!r}. Check the path.")
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
    kind = kind_of_file(path)
    if kind == "text table":
        draft = read_table(open_text_table(path), path, options, _labels_table(options))
    elif kind == "parquet":
        draft = _read_parquet(path, options)
    elif kind == "npy":
        draft = read_npy_samples(path, options, _labels_in_order(options))
    elif kind == "arrow":
        draft = read_table(open_arrow_file(path), path, options, _labels_table(options))
    else:
        draft = _read_archive(open_archive(path), options)
    return draft, file_fingerprint(path, options.labels)


def _read_parquet(path: Path, options: ReadOptions) -> Draft:
    table = ParquetTable(path)
    if is_outputs(table.columns) and options.wants("outputs"):
        return read_output_samples(path, options, _labels_in_order(options))
    return read_table(table, path, options, _labels_table(options))


def _read_archive(archive: Archive, options: ReadOptions) -> Draft:
    saved = open_saved_dataset(archive)
    if saved is not None:
        return read_table(saved, archive.path, options, _labels_table(options))
    is_file = archive.path.is_file()
    if is_file and is_zip(archive.path) and archive.names and all(name.endswith(".npy") for name in archive.names):
        return _read_npz(archive, options)
    is_tar = isinstance(archive, TarShards) or (is_file and not is_zip(archive.path))
    if is_tar and options.labels is None and is_webdataset(archive):
        return read_webdataset(archive, options)
    if has_images(archive):
        return _read_images(archive, options)
    raise unreadable(archive)


def _read_npz(archive: Archive, options: ReadOptions) -> Draft:
    arrays = NpzArrays(archive)
    labels = _labels_in_order(options)
    if is_outputs(list(arrays)) and options.wants("outputs"):
        return read_output_samples(archive.path, options, labels)
    return read_npz(arrays, archive.path, options, labels)


def _read_images(archive: Archive, options: ReadOptions) -> Draft:
    from oga_core.readers.masks import mask_pairs, masked_images  # few have masks, and chains of imports stay short

    inside = None
    table = _labels_table(options)
    if table is None and (inside := table_inside(archive)) is not None:
        table = open_text_table(archive.read(inside), inside)
    if table is not None and options.label_column is None and recognise("mask", table.columns):
        return masked_images.read_listed_masks(archive, table, inside, options)
    is_labelled = table is not None and bool(recognise("label", table.columns))
    chosen = options.labels or options.label_column or options.id_column
    if not chosen and not is_labelled and (pairs := mask_pairs.mask_pairs(archive)):
        return masked_images.read_mask_pairs(archive, pairs)
    return read_images(archive, options, table, inside)


def _labels_table(options: ReadOptions) -> Table | None:
    return None if options.labels is None else open_text_table(options.labels)


def _labels_in_order(options: ReadOptions) -> list[str | None] | None:
    """Return the labels given beside arrays, from a `.npy` or a table; None where there are none."""
    if options.labels is None:
        return None
    if options.labels.suffix.casefold() == ".npy":
        return label_list(read_npy(options.labels), options.labels.name)
    return labels_in_order(open_text_table(options.labels), options)


def unreadable(archive: Archive) -> OgaError:
    """Return the error for an archive that holds neither samples nor a table of them."""
    name = archive.path.name
    if not archive.names:
        return OgaError(f"{name} is empty. Give {FORMATS}.")
    tables = [member for member in archive.names if member.casefold().endswith((*TEXT_TABLES, ".parquet", ".npz"))]
    if tables:
        return OgaError(f"{name} holds no images, but {some(tables, 5)}. Give that file itself.")
    return OgaError(f"{name} holds no data that can be read; it has {some(archive.names, 5)}. Give {FORMATS}.")
