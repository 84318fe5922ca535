"""Images and masks in a folder, zip or tar: beside each other in two folders, or named in a table."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import Archive, suffix_of
from oga_core.readers.assembly import Draft, ReadOptions
from oga_core.readers.columns import choose, missing, recognise, some, train_part
from oga_core.readers.image_data import SUFFIXES
from oga_core.readers.image_inputs import member_images
from oga_core.readers.images import member_finder
from oga_core.readers.masks.masks import Masks, class_list
from oga_core.readers.tables.table import Table
from oga_core.samples import Problem, Source, Subset

IMAGES, MASKS = "images", "masks"
FORMAT = "images_with_masks"
CLASSES = "classes.json"
_MAX_CLASSES_BYTES = 1 << 20


class MaskRows(Sequence[Any]):
    """The rows of images with masks: the names of both."""

    def __init__(self, images: Sequence[str], masks: Sequence[str]):
        self._images = images
        self._masks = masks

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: Any) -> Any:
        return {"image": self._images[i], "mask": self._masks[i]}


def mask_folders(archive: Archive) -> list[str]:
    """Return the prefixes of all names below which there are a folder of images and one of masks, sorted."""
    places: dict[str, set[str]] = {}
    for name in archive.names:
        parts = name.split("/")
        for depth, part in enumerate(parts[:-1]):
            if part.casefold() in (IMAGES, MASKS):
                places.setdefault("".join(f"{folder}/" for folder in parts[:depth]), set()).add(part.casefold())
                break
    return sorted(prefix for prefix, folders in places.items() if len(folders) == 2)


def read_mask_folders(archive: Archive, prefixes: Sequence[str]) -> Draft:
    """Read images and the masks of the same names below one of the prefixes, that of the training part of several."""
    notes = []
    prefix = prefixes[0]
    if len(prefixes) > 1:
        part = train_part([name.strip("/").rpartition("/")[2] for name in prefixes], archive.path.name)
        prefix = next(name for name in prefixes if name.endswith(f"{part}/"))
        notes.append(f"Read from {part!r}; left out: {some([name for name in prefixes if name != prefix])}.")
    members = {folder: _members(archive, prefix, folder) for folder in (IMAGES, MASKS)}
    stems = [stem for stem in members[IMAGES] if stem in members[MASKS]]
    problems = [
        Problem(members[IMAGES][stem], row, f"it has no mask {prefix}{MASKS}/{stem}.png")
        for row, stem in enumerate(members[IMAGES])
        if stem not in members[MASKS]
    ]
    if lonely := [name for stem, name in members[MASKS].items() if stem not in members[IMAGES]]:
        notes.append(f"{len(lonely):,} mask(s) have no image and were left out: {some(lonely, 3)}.")
    images = [members[IMAGES][stem] for stem in stems]
    masks = [members[MASKS][stem] for stem in stems]
    rows = {stem: row for row, stem in enumerate(members[IMAGES])}
    return Draft(
        ids=images,
        labels=None,
        inputs=member_images(archive, images),
        rows=MaskRows(images, masks),
        row_numbers=np.array([rows[stem] for stem in stems], dtype=np.int64),
        modality="image",
        source=Source(archive.path, FORMAT, columns={"image": "image", "mask": "mask"}),
        class_names=_classes(archive, prefix),
        problems=problems,
        notes=notes,
        masks=Masks(member_images(archive, masks)),
    )


def read_listed_masks(archive: Archive, table: Table, inside: str | None, options: ReadOptions) -> Draft:
    """Read the images and masks that a table names, in the table's order."""
    image_column = recognise("image", table.columns)
    mask_column = recognise("mask", table.columns)
    if image_column is None or mask_column is None:
        raise missing("mask" if image_column else "image", table.columns, table.name)
    chosen = choose("id", table.columns, options.id_column, table.name) if options.id_column else None
    id_column = chosen or image_column
    scan = table.scan(list(dict.fromkeys([image_column, mask_column, id_column])))
    find = member_finder(archive, posixpath.dirname(inside or ""))
    named = {column: [str(cell or "") for cell in scan.values[column]] for column in (image_column, mask_column)}
    members = {column: [find(name) for name in names] for column, names in named.items()}
    ids = [str(value) for value in scan.values[id_column]]
    problems = [Problem(str(row), row, reason) for row, reason in scan.faults]
    usable = []
    for i, row in enumerate(scan.row_numbers.tolist()):
        lacking = next((column for column in members if members[column][i] is None), None)
        if lacking is None:
            usable.append(i)
        else:
            reason = f"{archive.path.name} has no {'image' if lacking == image_column else 'mask'} "
            problems.append(Problem(ids[i], row, f"{reason}{named[lacking][i]!r}"))
    places = np.array(usable, dtype=np.int64)
    images, masks = ([str(members[column][i]) for i in usable] for column in (image_column, mask_column))
    columns = {"id": id_column, "image": image_column, "mask": mask_column, "table": table.name}
    return Draft(
        ids=[ids[i] for i in usable],
        labels=None,
        inputs=member_images(archive, images),
        rows=Subset(scan.rows, places),
        row_numbers=scan.row_numbers[places],
        modality="image",
        source=Source(archive.path, FORMAT, labels_path=options.labels, columns=columns),
        class_names=_classes(archive, f"{posixpath.dirname(inside or '')}/".removeprefix("/")),
        problems=problems,
        notes=list(table.notes),
        masks=Masks(member_images(archive, masks)),
    )


def _members(archive: Archive, prefix: str, folder: str) -> dict[str, str]:
    """The files of a folder that are named as images, by their path in it without the ending."""
    members: dict[str, str] = {}
    for name in archive.names:
        first, slash, rest = name.removeprefix(prefix).partition("/")
        if name.startswith(prefix) and slash and first.casefold() == folder and suffix_of(name) in SUFFIXES:
            stem = posixpath.splitext(rest)[0]
            if stem in members:
                raise OgaError(f"{archive.path.name} has both {members[stem]} and {name}. Take one out, or rename it.")
            members[stem] = name
    return members


def _classes(archive: Archive, prefix: str) -> tuple[str, ...] | None:
    """The names in classes.json beside the folders, or at the root."""
    for name in (f"{prefix}{CLASSES}", CLASSES):
        if archive.has(name):
            return class_list(archive.read(name, _MAX_CLASSES_BYTES), name)
    return None
