"""Images in a folder, zip or tar: in class folders, or named in a table of labels."""

from __future__ import annotations

import posixpath
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.readers.archives import Archive, suffix_of
from oga_core.readers.assembly import Draft, ReadOptions, label_text
from oga_core.readers.columns import choose, missing, recognise, some
from oga_core.readers.image_data import MAX_BYTES, SUFFIXES, decode_image
from oga_core.readers.tables import DelimitedTable, JsonArrayTable, JsonLinesTable, Table
from oga_core.samples import Problem, Source, Subset, UnreadableSample

UNSUPPORTED_SUFFIXES = frozenset(
    {".svg", ".heic", ".heif", ".avif", ".eps", ".psd", ".pdf", ".ico", ".jp2", ".jxl", ".raw"}
)
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.tsv")
TRAIN, OTHER_SPLITS = ("train", "training"), ("val", "valid", "validation", "dev", "test", "testing")


class ImageInputs(Sequence[Any]):
    """Images decoded when asked for; counts what decoding had to change, for the notes of a run. Thread-safe.

    names: of the members that hold them, None where they are not in an archive.
    """

    def __init__(self, n_images: int, read: Callable[[int], bytes], names: Sequence[str] | None = None):
        self._n_images, self.names, self._read = n_images, names, read
        self._lock, self._changes, self._seen = threading.Lock(), Counter[str](), set[int]()

    def __len__(self) -> int:
        return self._n_images

    def __getitem__(self, i: Any) -> Any:
        i = range(self._n_images)[i]
        image, changes = decode_image(self.encoded(i))
        if changes and i not in self._seen:
            with self._lock:
                self._seen.add(i)
                self._changes.update(changes)
        return image

    def encoded(self, i: int) -> bytes:
        """Return the bytes of an image's file as they are."""
        try:
            return self._read(i)
        except OgaError as error:
            raise UnreadableSample(str(error)) from None

    @property
    def notes(self) -> tuple[str, ...]:
        """What decoding changed so far, with counts."""
        return tuple(f"{count:,} image(s) {change}." for change, count in sorted(self._changes.items()))


class ImageRows(Sequence[Any]):
    """The rows of images in class folders."""

    def __init__(self, files: Sequence[str], labels: Sequence[str]):
        self._files, self._labels = files, labels

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: Any) -> Any:
        return {"file": self._files[i], "label": self._labels[i]}


def has_images(archive: Archive) -> bool:
    """Whether any member is named as an image that can be read."""
    return any(suffix_of(name) in SUFFIXES for name in archive.names)


def read_images(archive: Archive, options: ReadOptions) -> Draft:
    """Read images with a table of labels, given or inside the archive, else by their class folders."""
    if options.labels is not None:
        table = open_text_table(options.labels, options.labels.name)
        return _read_listed(archive, table, "", options, options.labels)
    inside = _metadata_inside(archive)
    if inside is not None:
        table = open_text_table(archive.read(inside), inside)
        if options.label_column is not None or recognise("label", table.columns) is not None:
            return _read_listed(archive, table, posixpath.dirname(inside), options, None)
    if options.label_column is not None or options.id_column is not None:
        raise OgaError(
            f"{archive.path.name} has no table of labels to choose a column of. Give the table with --labels."
        )
    return _read_class_folders(archive)


def open_text_table(source: Path | bytes, name: str) -> Table:
    """Open a CSV, TSV or JSON-lines table by its name."""
    suffix = suffix_of(name)
    if suffix in (".jsonl", ".ndjson"):
        return JsonLinesTable(source, name)
    if suffix in (".csv", ".tsv", ".tab", ".txt"):
        return DelimitedTable(source, name)
    if suffix == ".json":
        return JsonArrayTable(source, name)
    raise OgaError(f"The table of labels {name} must be a .csv, .tsv or .jsonl file.")


def member_images(archive: Archive, names: Sequence[str]) -> ImageInputs:
    """Return the members of these names as images."""
    return ImageInputs(len(names), lambda i: archive.read(names[i], MAX_BYTES), names)


def _read_class_folders(archive: Archive) -> Draft:
    notes: list[str] = []
    names = [name for name in archive.names if suffix_of(name) in SUFFIXES | UNSUPPORTED_SUFFIXES]
    _note_others(archive, names, notes)
    prefix, parts = _class_level(archive, names, notes)
    files, labels, numbers, problems = [], [], [], []
    for row, name in enumerate(name for name in names if name.startswith(prefix)):
        folders = name.removeprefix(prefix).split("/")[:-1]
        if not folders:
            problems.append(Problem(name, row, "it lies outside the class folders"))
        elif suffix_of(name) in UNSUPPORTED_SUFFIXES:
            problems.append(Problem(name, row, f"{suffix_of(name)} files are not read; save it as PNG or JPEG"))
        else:
            files.append(name)
            labels.append(folders[0])
            numbers.append(row)
    if not labels and not parts:
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
        ids=files,
        labels=labels,
        inputs=member_images(archive, files),
        rows=ImageRows(files, labels),
        row_numbers=np.array(numbers, dtype=np.int64),
        modality="image",
        source=Source(archive.path, "image_folder", columns={"image": "file", "label": "label", "folder": prefix}),
        problems=problems,
        notes=notes,
    )


def _class_level(archive: Archive, names: Sequence[str], notes: list[str]) -> tuple[str, set[str]]:
    """Return the prefix of the class folders, past one root folder and a level of splits, and the folders."""
    prefix = ""
    first = _first_folders(names, prefix)
    if len(first) == 1 and "" not in first and _has_subfolders(names, f"{next(iter(first))}/"):
        prefix = f"{first.pop()}/"
        first = _first_folders(names, prefix)
    splits = {folder for folder in first if folder.casefold() in TRAIN + OTHER_SPLITS}
    if splits and splits == first and all(_has_subfolders(names, f"{prefix}{split}/") for split in splits):
        chosen = next((split for split in sorted(splits) if split.casefold() in TRAIN), None)
        if chosen is None and len(splits) > 1:
            raise OgaError(
                f"{archive.path.name} has the parts {some(sorted(splits))} but no 'train'. Give the folder of one part."
            )
        chosen = chosen or next(iter(splits))
        if others := sorted(splits - {chosen}):
            notes.append(f"Read from {chosen!r}; left out: {some(others)}.")
        prefix = f"{prefix}{chosen}/"
        first = _first_folders([name for name in names if name.startswith(prefix)], prefix)
    return prefix, first - {""}


def _first_folders(names: Sequence[str], prefix: str) -> set[str]:
    found = set()
    for name in names:
        folder, slash, _ = name[len(prefix) :].partition("/")
        found.add(folder if slash else "")
    return found


def _has_subfolders(names: Sequence[str], prefix: str) -> bool:
    return any("/" in name[len(prefix) :] for name in names if name.startswith(prefix))


def _read_listed(archive: Archive, table: Table, base: str, options: ReadOptions, labels_path: Path | None) -> Draft:
    """Read the images that a table names, in the table's order."""
    image_column = recognise("image", table.columns) or _id_as_image(archive, table)
    label_column = choose("label", table.columns, options.label_column, table.name)
    if label_column is None:
        raise missing("label", table.columns, table.name)
    id_column = image_column
    if options.id_column is not None:
        id_column = choose("id", table.columns, options.id_column, table.name) or image_column
    scan = table.scan(list(dict.fromkeys([image_column, label_column, id_column])))
    find = _finder(archive, base)
    problems = [Problem(str(row), row, reason) for row, reason in scan.faults]
    ids, labels, members, positions = [], [], [], []
    columns = (scan.values[name] for name in (id_column, image_column, label_column))
    for i, (sample_id, file, label) in enumerate(zip(*columns, strict=True)):
        member = find(str(file or ""))
        if member is None:
            reason = f"{archive.path.name} has no image {str(file)!r}"
            problems.append(Problem(str(sample_id), int(scan.row_numbers[i]), reason))
            continue
        ids.append(str(sample_id))
        labels.append(label_text(label))
        members.append(member)
        positions.append(i)
    notes = list(table.notes)
    _note_unlisted(archive, members, table.name, notes)
    where = np.array(positions, dtype=np.int64)
    return Draft(
        ids=ids,
        labels=labels,
        inputs=member_images(archive, members),
        rows=Subset(scan.rows, where),
        row_numbers=scan.row_numbers[where],
        modality="image",
        source=Source(
            archive.path,
            "images_with_table",
            labels_path=labels_path,
            columns={"id": id_column, "image": image_column, "label": label_column, "table": table.name},
        ),
        problems=problems,
        notes=notes,
    )


def _id_as_image(archive: Archive, table: Table) -> str:
    """Return the id column where its values are names of images, else raise."""
    column = recognise("id", table.columns)
    if column is None:
        raise missing("image", table.columns, table.name)
    return column


def _finder(archive: Archive, base: str) -> Callable[[str], str | None]:
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


def _metadata_inside(archive: Archive) -> str | None:
    found = [name for name in archive.names if posixpath.basename(name).casefold() in METADATA_NAMES]
    if len(found) > 1:
        found = [name for name in found if any(part.casefold() in TRAIN for part in name.split("/"))] or found
    if len(found) > 1:
        raise OgaError(f"{archive.path.name} has several tables of labels: {some(found)}. Choose one with --labels.")
    return found[0] if found else None


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
