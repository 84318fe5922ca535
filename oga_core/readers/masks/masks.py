"""The masks of a data set as class indices, decoded when asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError, UnreadableSample
from oga_core.numerics import evenly_spaced
from oga_core.readers.image_inputs import ImageInputs
from oga_core.readers.masks.mask_data import decode_mask
from oga_core.samples import MASK_IGNORED, MASK_LARGEST, SampleSet, Subset, some_names

UNCOUNTED = -1
"""Stands among class indices where no class is given."""
_STRANGE = -2
WHITE = MASK_IGNORED
NO_NUMBER = MASK_LARGEST
"""Stands for no class where the number that does so otherwise is one's."""
LOOKED_AT = 50
"""Masks that are decoded to tell what 255 means; one of another kind among the rest is named as it is read."""


class Masks(Sequence[Any]):
    """`masks[i]`: `(height, width)` int32 class indices, `UNCOUNTED` where no class is given.

    Raises `UnreadableSample` for a mask that cannot be decoded, and for a number that stands for no class.
    files: the masks' files. numbers: in a file, of each class in the order of the model; None: any, as they are.
    """

    def __init__(self, files: ImageInputs, numbers: Sequence[int] | None = None, ignored: int = MASK_IGNORED):
        self.files = files
        self.numbers = numbers
        self.ignored = ignored

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: Any) -> Any:
        stored = decode_mask(self.files.encoded(i))
        indices: NDArray[np.int32] = self._places[stored]
        if self.numbers is not None and (indices == _STRANGE).any():
            value = int(stored[indices == _STRANGE][0])
            uncounted = "" if self.ignored == NO_NUMBER else f" (not counted: {self.ignored})"
            raise UnreadableSample(
                f"its mask holds {value}, and the {len(self.numbers)} classes have the numbers {_range(self.numbers)}"
                f"{uncounted}"
            )
        return indices

    def stored(self, indices: NDArray[np.int32]) -> NDArray[np.uint16]:
        """Class indices as the numbers that files hold."""
        numbers = np.array([*(self.numbers or range(MASK_LARGEST)), self.ignored], dtype=np.uint16)
        return numbers[indices]

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        """The class index of every number that a file can hold."""
        places = np.arange(MASK_LARGEST + 1, dtype=np.int32)
        if self.numbers is not None:
            places[:] = _STRANGE
            places[list(self.numbers)] = np.arange(len(self.numbers))
        places[self.ignored] = UNCOUNTED
        return places


def with_masks(
    samples: SampleSet, target: str | None, class_names: Sequence[str], ignored: int = MASK_IGNORED
) -> SampleSet:
    """Return images whose masks hold class indices in the order of `class_names`.

    Without `class_names` those that the data name, else the numbers that the masks hold. Where both name them they
    match by name. Raises `OgaError` where the data have masks and the model's loss is of something else, or the other
    way about, and for classes that the model does not know.
    """
    _check(samples, target)
    base = samples.masks.base if isinstance(samples.masks, Subset) else samples.masks
    assert isinstance(base, Masks), "checked"
    known = samples.class_names
    names = tuple(map(str, class_names)) or known
    is_binary = len(names) in (0, 2) and ignored == WHITE and _is_black_and_white(base)
    if is_binary:
        names = names or ("0", str(WHITE))
        note = f"The masks hold 0 and {WHITE} alone, so {WHITE} is read as the class {(known or names)[1]!r}."
        samples = replace(samples, notes=tuple(dict.fromkeys((*samples.notes, note))))
    names = names or _found(base, ignored)
    stored = (0, WHITE) if is_binary else range(len(known or names))
    if strange := [name for name in known if name not in names]:
        raise OgaError(
            f"{samples.source.path.name} names the class {strange[0]!r}, which the model does not know. "
            f"The model's are: {some_names(names)}. Correct classes.json, or the classes in the model card."
        )
    # A class that only the model knows has a number that no file can hold.
    places = {name: place for place, name in enumerate(known or names)}
    numbers = [stored[places[name]] if name in places else NO_NUMBER - 1 - i for i, name in enumerate(names)]
    masks: Sequence[Any] = Masks(base.files, numbers, NO_NUMBER if is_binary else ignored)
    if isinstance(samples.masks, Subset):
        masks = Subset(masks, samples.masks.indices)
    return replace(samples, masks=masks, class_names=names)


def _is_black_and_white(masks: Masks) -> bool:
    """Whether masks hold nothing but 0 and 255, as tools save a single object: then 255 is no border."""
    seen: set[int] = set()
    for i in evenly_spaced(np.arange(len(masks)), LOOKED_AT).tolist():
        with suppress(UnreadableSample):
            seen |= set(np.unique(decode_mask(masks.files.encoded(i))).tolist())
        if not seen <= {0, WHITE}:
            return False
    return seen == {0, WHITE}


def class_list(content: bytes, origin: str) -> tuple[str, ...]:
    """Return the names of classes in the order of their numbers: a list, or an object of numbers and names.

    Raises `OgaError` for anything else, and for a number that is left out.
    """
    try:
        value = json.loads(content)
        if isinstance(value, dict):
            pairs = value.items() if all(key.isdecimal() for key in value) else [(b, a) for a, b in value.items()]
            by_number = {int(number): name for number, name in pairs}
            value = [by_number[number] for number in range(len(by_number))]
        names = tuple(map(str, value)) if isinstance(value, list) else ()
    except (ValueError, TypeError, KeyError, RecursionError):
        names = ()
    if not names or len(set(names)) < len(names) or len(names) > MASK_LARGEST:
        raise OgaError(
            f"{origin} is no list of classes. Write their names in the order of the masks' numbers, from 0 on: "
            '["background", "cat", "dog"].'
        )
    return names


def _check(samples: SampleSet, target: str | None) -> None:
    name = samples.source.path.name
    if samples.masks is not None and target not in ("mask", None):
        raise OgaError(
            f"{name} has a mask for each image, and the model's loss is of a whole image. For a model that gives every "
            'pixel a class put "loss": "pixel_cross_entropy" into the model card.'
        )
    if samples.masks is None:
        raise OgaError(
            f"The model gives a class for every pixel, and {name} has no masks. Put the images into a folder 'images' "
            "and their masks, of the same names, into a folder 'masks' beside it; or each mask beside its image, as "
            "cat_mask.png beside cat.jpg; or give a table with the columns image and mask."
        )


def _found(masks: Masks, ignored: int) -> tuple[str, ...]:
    """The numbers from 0 to the largest that any mask holds."""
    largest = -1
    for i in range(len(masks)):
        try:
            stored = decode_mask(masks.files.encoded(i))
        except UnreadableSample:
            continue
        largest = max(largest, int(stored[stored != ignored].max(initial=0)))
    return tuple(map(str, range(largest + 1)))


def _range(numbers: Sequence[int]) -> str:
    used = sorted(number for number in numbers if number < MASK_LARGEST - len(numbers))
    whole = used == list(range(len(used)))
    return f"0 to {len(used) - 1}" if whole else ", ".join(map(str, used[:8]))
