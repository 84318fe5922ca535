"""Images and masks in a folder, zip or tar: beside each other, or named in a table."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any

import numpy as np

from oga_core.readers.archives.archive import Archive
from oga_core.readers.assembly import Draft, ReadOptions
from oga_core.readers.columns import choose, missing, recognise
from oga_core.readers.image_inputs import member_images
from oga_core.readers.images import member_finder
from oga_core.readers.masks.mask_pairs import MaskPairs
from oga_core.readers.masks.masks import Masks, class_list
from oga_core.readers.tables.table import Table
from oga_core.samples import Problem, Source, Subset

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


def read_mask_pairs(archive: Archive, pairs: MaskPairs) -> Draft:
    """Read images and masks that lie beside each other."""
    images, masks = list(pairs.images), list(pairs.masks)
    return Draft(
        ids=images,
        labels=None,
        inputs=member_images(archive, images),
        rows=MaskRows(images, masks),
        row_numbers=np.array(pairs.places, dtype=np.int64),
        modality="image",
        source=Source(archive.path, FORMAT, columns={"image": "image", "mask": "mask"}),
        class_names=_classes(archive, pairs.prefix),
        problems=[Problem(name, place, f"it has no mask {mask}") for name, place, mask in pairs.without_mask],
        notes=pairs.notes,
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


def _classes(archive: Archive, prefix: str) -> tuple[str, ...] | None:
    """The names in classes.json beside the folders, or at the root."""
    for name in (f"{prefix}{CLASSES}", CLASSES):
        if archive.has(name):
            return class_list(archive.read(name, _MAX_CLASSES_BYTES), name)
    return None
