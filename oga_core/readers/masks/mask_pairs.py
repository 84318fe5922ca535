"""Which files of an archive are images and which their masks, by the usual names of folders and files."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import suffix_of
from oga_core.readers.columns import OTHER_SPLITS, TRAIN, some, train_part
from oga_core.readers.image_data import SUFFIXES

if TYPE_CHECKING:
    from oga_core.readers.archives.archive import Archive

Members = dict[str, str]
"""Names of files by what their images and masks have in common."""
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
MASK_FOLDERS = ("masks", "mask", "annotations", "segmentationclass", "segmentations", "segmentation", "labels")
"""As sets are published: of plain folders, ADE20K, Pascal VOC, and exports of tools; the plainest first."""
BESIDE = ("_masks", "_mask", "_labels", "_annotations", "annot")
"""Endings of a folder of masks that is called as that of its images: train and train_masks."""
MASK_ENDINGS = ("_mask", "-mask", "_masks", "_segmentation", "_seg", "_labels", "_label", "_gt")
IMAGE_ENDINGS = ("_image", "-image", "_img", "_sat")
"""Endings of files that the other one of a pair does not have, or has another of."""
FEWEST_MASKED = 0.5
"""Share of the images that have a mask beside them where that is how the set is made, and no chance of names."""


@dataclass(frozen=True)
class MaskPairs:
    """Images and their masks, by the names of both.

    prefix: of the names of all of them. places: of these images among all. without_mask: images without one, each with
    its place and the name that a mask of it would have. without_image: masks without one. left_out: parts of the set
    that are not for training.
    """

    prefix: str
    images: tuple[str, ...]
    masks: tuple[str, ...]
    places: tuple[int, ...]
    without_mask: tuple[tuple[str, int, str], ...]
    without_image: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """What is not read, in words."""
        notes = [f"Read from the training part; left out: {some(self.left_out)}."] if self.left_out else []
        if count := len(self.without_image):
            notes.append(f"{count:,} mask(s) have no image and were left out: {some(self.without_image, 3)}.")
        return notes


def mask_pairs(archive: Archive) -> MaskPairs | None:
    """Return the images with their masks, of the training part where there are several; None where there are no masks.

    They lie in two folders beside each other, or every mask beside its image. Raises `OgaError` where two images or
    two masks have one name, and where no part is for training.
    """
    names = [name for name in archive.names if suffix_of(name) in SUFFIXES]
    folders = _folders(names)
    if not folders:
        return _beside(names, archive)
    left_out = _not_for_training(list(dict.fromkeys(map(_part, folders))), archive)
    chosen = [folder for folder in folders if _part(folder) not in left_out]
    prefix = chosen[0][0] if len(chosen) == 1 else None
    images: Members = {}
    masks: Members = {}
    expected: Members = {}
    below = _below(names, {f"{above}{folder}/" for above, *both in chosen for folder in both})
    for above, image_folder, mask_folder in chosen:
        start = "" if prefix == above else f"{above}{image_folder}/"
        for members, folder in ((images, f"{above}{image_folder}/"), (masks, f"{above}{mask_folder}/")):
            for name in below[folder]:
                stem = posixpath.splitext(name.removeprefix(folder))[0]
                if other := members.get(start + stem):
                    raise OgaError(f"{archive.path.name} has both {other} and {name}. Take one out, or rename it.")
                members[start + stem] = name
                expected[start + stem] = f"{above}{mask_folder}/{stem}.png"
    return _paired(prefix or "", images, masks, expected, left_out, archive)


def _folders(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """What lies above a folder of images and the one of their masks, and what both are called."""
    inside: dict[str, dict[str, str]] = {}
    for folder in {posixpath.dirname(name) for name in names}:
        parts = folder.split("/") if folder else []
        for depth, part in enumerate(parts):
            inside.setdefault("".join(f"{above}/" for above in parts[:depth]), {})[part.casefold()] = part
    found: list[tuple[str, str, str]] = []
    taken: set[str] = set()
    for above, called in sorted(inside.items()):
        if not taken.isdisjoint(_above(above)):
            continue
        images = next((called[name] for name in IMAGE_FOLDERS if name in called), None)
        masks = next((called[name] for name in MASK_FOLDERS if name in called), None)
        pairs = [(images, masks)] if images and masks else []
        if not pairs:
            named = [(name, name + ending) for name in called for ending in BESIDE if name + ending in called]
            pairs = [(called[image_name], called[mask_name]) for image_name, mask_name in named]
        found += [(above, *pair) for pair in pairs]
        taken |= {f"{above}{folder}/" for pair in pairs for folder in pair}
    return found


def _part(folders: tuple[str, str, str]) -> str:
    """What tells these folders from those of another part of the set: train/images, and train beside train_masks."""
    above, images, masks = folders
    return f"{above}{images}/" if masks.casefold().startswith(images.casefold()) else above


def _not_for_training(parts: Sequence[str], archive: Archive) -> tuple[str, ...]:
    """All parts but the training one, where they are called training, test and so on; else none."""
    last = {posixpath.basename(part.rstrip("/")): part for part in parts}
    if len(parts) < 2 or not set(map(str.casefold, last)) & {*TRAIN, *OTHER_SPLITS}:
        return ()
    chosen = last[train_part(list(last), archive.path.name)]
    return tuple(part for part in parts if part != chosen)


def _below(names: Sequence[str], folders: Collection[str]) -> dict[str, list[str]]:
    """The names below each of some folders, none of which lies in another."""
    below: dict[str, list[str]] = {folder: [] for folder in folders}
    for name in names:
        if folder := next((above for above in _above(name) if above in below), None):
            below[folder].append(name)
    return below


def _above(name: str) -> Iterator[str]:
    """The folders that a name lies in, the outermost first."""
    place = name.find("/")
    while place >= 0:
        yield name[: place + 1]
        place = name.find("/", place + 1)


def _beside(names: Sequence[str], archive: Archive) -> MaskPairs | None:
    """Images with their masks in the same folders: cat.jpg and cat_mask.png."""
    stems = {posixpath.splitext(name)[0]: name for name in names}
    called = [stem for stem in stems if stem.casefold().endswith(MASK_ENDINGS)]
    plain = {_bare(stem) for stem in stems.keys() - set(called)}
    masks = {stem: stems[stem] for stem in called if _bare(stem) in plain}
    images = {stem: name for stem, name in stems.items() if stem not in masks}
    if not masks or len(masks) < FEWEST_MASKED * len(images):
        return None
    return _paired("", images, masks, {stem: f"{stem}_mask.png" for stem in images}, (), archive)


def _paired(
    prefix: str, images: Members, masks: Members, expected: dict[str, str], left_out: tuple[str, ...], archive: Archive
) -> MaskPairs:
    """Pair the images and masks of the training part. expected: the name that the mask of every image would have."""
    parts = sorted({key.partition("/")[0] for key in images if "/" in key})
    if parts and all("/" in key for key in images):
        others = _not_for_training(parts, archive)
        left_out = (*left_out, *others)
        images, masks = ({k: n for k, n in of.items() if k.partition("/")[0] not in others} for of in (images, masks))
    ways = (str, _bare, lambda key: _bare(posixpath.basename(key)))
    pairs = next(filter(None, (_matched(images, masks, way) for way in ways)), {})
    paired = set(pairs.values())
    keys = list(images)
    return MaskPairs(
        prefix,
        tuple(images[key] for key in pairs),
        tuple(masks[key] for key in pairs.values()),
        tuple(place for place, key in enumerate(keys) if key in pairs),
        tuple((images[key], place, expected[key]) for place, key in enumerate(keys) if key not in pairs),
        tuple(name for key, name in masks.items() if key not in paired),
        left_out,
    )


def _matched(images: Members, masks: Members, way: Callable[[str], str]) -> dict[str, str]:
    """The mask's key by that of its image, where `way` makes the two equal; none where it makes two of a kind so."""
    by_way = {way(key): key for key in masks}
    if len(by_way) < len(masks) or len(set(map(way, images))) < len(images):
        return {}
    return {key: by_way[way(key)] for key in images if way(key) in by_way}


def _bare(key: str) -> str:
    """A name without what tells a mask from its image."""
    endings = (ending for ending in (*MASK_ENDINGS, *IMAGE_ENDINGS) if key.casefold().endswith(ending))
    return key[: -len(next(endings, "")) or None]
