"""Images in a folder, zip or tar: in class folders, or named in a table of labels."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import Archive, suffix_of
from oga_core.readers.assembly import Draft, ReadOptions
from oga_core.readers.columns import OTHER_SPLITS, TRAIN, choose, missing, recognise, some, train_part
from oga_core.readers.image_data import SUFFIXES
from oga_core.readers.image_inputs import member_images
from oga_core.readers.tables.table import Scan, Table, label_text
from oga_core.samples import Problem, Source, Subset

UNSUPPORTED_SUFFIXES = frozenset(
    {".svg", ".heic", ".heif", ".avif", ".eps", ".psd", ".pdf", ".ico", ".jp2", ".jxl", ".raw"}
)
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.tsv")


class ImageRows(Sequence[Any]):
    """The rows of images in class folders."""

    def __init__(self, files: Sequence[str], labels: Sequence[str]):
        self._files = files
        self._labels = labels

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: Any) -> Any:
        return {"file": self._files[i], "label": self._labels[i]}


def has_images(archive: Archive) -> bool:
    """Whether any member is named as an image that can be read."""
    return any(suffix_of(name) in SUFFIXES for name in archive.names)


def table_inside(archive: Archive) -> str | None:
    """Return the name of the table of labels in an archive, that of the training part of several."""
    names = [name for name in archive.names if posixpath.basename(name).casefold() in METADATA_NAMES]
    if len(names) > 1:
        names = [name for name in names if any(part.casefold() in TRAIN for part in name.split("/"))] or names
    if len(names) > 1:
        raise OgaError(f"{archive.path.name} has several tables of labels: {some(names)}. Choose one with --labels.")
    return names[0] if names else None


def read_images(archive: Archive, options: ReadOptions, table: Table | None, inside: str | None) -> Draft:
    """Read images with a table of labels, else by their class folders.

    table: the one given beside the archive, or the archive's own; then `inside` is its name there.
    """
    has_label = table is not None and recognise("label", table.columns) is not None
    if table is not None and (inside is None or options.label_column is not None or has_label):
        return _read_listed(archive, table, inside, options)
    if options.label_column is not None or options.id_column is not None:
        raise OgaError(
            f"{archive.path.name} has no table of labels to choose a column of. Give the table with --labels."
        )
    return _read_class_folders(archive)


def _read_class_folders(archive: Archive) -> Draft:
    notes: list[str] = []
    names = [name for name in archive.names if suffix_of(name) in SUFFIXES | UNSUPPORTED_SUFFIXES]
    _note_others(archive, names, notes)
    prefix = _class_level(archive, names, notes)
    problems: list[Problem] = []
    files: dict[str, int] = {}
    for row, name in enumerate(name for name in names if name.startswith(prefix)):
        if reason := _unusable(name, prefix):
            problems.append(Problem(name, row, reason))
        else:
            files[name] = row
    labels = [name.removeprefix(prefix).partition("/")[0] for name in files]
    if not labels and not any("/" in name.removeprefix(prefix) for name in names if name.startswith(prefix)):
        raise OgaError(
            f"{archive.path.name} has {len(names):,} images but no class folders and no table of labels. "
            "Give the labels as a CSV with --labels, or put each image into a folder named as its class."
        )
    if len(set(labels)) == 1:
        notes.append(
            f"All images lie in one folder, {labels[0]!r}, read as their class. "
            "If a CSV holds the labels, give it with --labels."
        )
    return Draft(
        ids=list(files),
        labels=labels,
        inputs=member_images(archive, list(files)),
        rows=ImageRows(list(files), labels),
        row_numbers=np.array(list(files.values()), dtype=np.int64),
        modality="image",
        source=Source(archive.path, "image_folder", columns={"image": "file", "label": "label", "folder": prefix}),
        problems=problems,
        notes=notes,
    )


def _unusable(name: str, prefix: str) -> str:
    """Return why a file in the class folders cannot be used, empty where it can."""
    if "/" not in name.removeprefix(prefix):
        return "it lies outside the class folders"
    if suffix_of(name) in UNSUPPORTED_SUFFIXES:
        return f"{suffix_of(name)} files are not read; save it as PNG or JPEG"
    return ""


def _class_level(archive: Archive, names: Sequence[str], notes: list[str]) -> str:
    """Return the prefix of the class folders, past one root folder and a level of splits."""
    prefix = ""
    first = _first_folders(names, prefix)
    if len(first) == 1 and "" not in first and _has_subfolders(names, f"{next(iter(first))}/"):
        prefix = f"{first.pop()}/"
        first = _first_folders(names, prefix)
    splits = {folder for folder in first if folder.casefold() in TRAIN + OTHER_SPLITS}
    if splits and splits == first and all(_has_subfolders(names, f"{prefix}{split}/") for split in splits):
        part = train_part(sorted(splits), archive.path.name)
        if others := sorted(splits - {part}):
            notes.append(f"Read from {part!r}; left out: {some(others)}.")
        prefix = f"{prefix}{part}/"
    return prefix


def _first_folders(names: Sequence[str], prefix: str) -> set[str]:
    parts = (name[len(prefix) :].partition("/") for name in names)
    return {folder if slash else "" for folder, slash, _ in parts}


def _has_subfolders(names: Sequence[str], prefix: str) -> bool:
    return any("/" in name[len(prefix) :] for name in names if name.startswith(prefix))


def _read_listed(archive: Archive, table: Table, inside: str | None, options: ReadOptions) -> Draft:
    """Read the images that a table names, in the table's order."""
    image_column = recognise("image", table.columns) or _id_as_image(archive, table)
    label_column = choose("label", table.columns, options.label_column, table.name)
    if label_column is None:
        raise missing("label", table.columns, table.name)
    id_column = image_column
    if options.id_column is not None:
        id_column = choose("id", table.columns, options.id_column, table.name) or image_column
    scan = table.scan(list(dict.fromkeys([image_column, label_column, id_column])))
    members = _members(archive, posixpath.dirname(inside or ""), scan.values[image_column])
    places = np.array([i for i, member in enumerate(members) if member is not None], dtype=np.int64)
    listed = [member for member in members if member is not None]
    notes = list(table.notes)
    _note_unlisted(archive, listed, table.name, notes)
    return Draft(
        ids=[str(scan.values[id_column][i]) for i in places],
        labels=[label_text(scan.values[label_column][i]) for i in places],
        inputs=member_images(archive, listed),
        rows=Subset(scan.rows, places),
        row_numbers=scan.row_numbers[places],
        modality="image",
        source=Source(
            archive.path,
            "images_with_table",
            labels_path=options.labels,
            columns={"id": id_column, "image": image_column, "label": label_column, "table": table.name},
        ),
        problems=_unlisted_problems(archive, scan, members, image_column, id_column),
        notes=notes,
    )


def _members(archive: Archive, base: str, files: Sequence[Any]) -> list[str | None]:
    """Return the archive's member for each file that a table names, None where there is none."""
    member_of = member_finder(archive, base)
    return [member_of(str(file or "")) for file in files]


def _unlisted_problems(
    archive: Archive, scan: Scan, members: Sequence[str | None], image_column: str, id_column: str
) -> list[Problem]:
    problems = [Problem(str(row), row, reason) for row, reason in scan.faults]
    for i, member in enumerate(members):
        if member is None:
            reason = f"{archive.path.name} has no image {str(scan.values[image_column][i])!r}"
            problems.append(Problem(str(scan.values[id_column][i]), int(scan.row_numbers[i]), reason))
    return problems


def _id_as_image(archive: Archive, table: Table) -> str:
    """Return the id column where its values are names of images, else raise."""
    column = recognise("id", table.columns)
    if column is None:
        raise missing("image", table.columns, table.name)
    return column


def member_finder(archive: Archive, base: str) -> Callable[[str], str | None]:
    """Return the function from a name to a member: as written, below `base` or the root, else by its unique end."""
    images = [name for name in archive.names if suffix_of(name) in SUFFIXES]
    first = {name.partition("/")[0] for name in images}
    root = next(iter(first)) if len(first) == 1 else ""
    ends: dict[str, str | None] = {}
    for name in images:
        file = posixpath.basename(name)
        for key in {file, posixpath.splitext(file)[0]}:
            ends[key] = None if key in ends else name

    def find(file: str) -> str | None:
        file = file.removeprefix("./")
        for name in (posixpath.join(base, file), file, f"{root}/{file}"):
            if archive.has(name):
                return name
        return ends.get(posixpath.basename(file)) if file and ".." not in file.split("/") else None

    return find


def _note_others(archive: Archive, names: Sequence[str], notes: list[str]) -> None:
    others = len(archive.names) - len(names)
    if others:
        known = set(names)
        first = some([name for name in archive.names if name not in known], 3)
        notes.append(f"{others:,} file(s) are not images and were left out: {first}.")


def _note_unlisted(archive: Archive, members: Sequence[str], table: str, notes: list[str]) -> None:
    listed = set(members)
    unlisted = [name for name in archive.names if suffix_of(name) in SUFFIXES and name not in listed]
    if unlisted:
        notes.append(f"{len(unlisted):,} image(s) have no row in {table} and were left out: {some(unlisted, 3)}.")
