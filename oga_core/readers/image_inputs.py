"""Images of a data set, decoded when asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oga_core.errors import OgaError, UnreadableSample
from oga_core.readers.archives.archive import Archive
from oga_core.readers.image_data import MAX_BYTES, decode_image


class ImageInputs(Sequence[Any]):
    """Images decoded when asked for; counts what decoding had to change, for the notes of a run. Thread-safe.

    names: of the members that hold them, None where they are not in an archive.
    """

    def __init__(self, n_images: int, read: Callable[[int], bytes], names: Sequence[str] | None = None):
        self.names = names
        self._n_images = n_images
        self._read = read
        self._lock = threading.Lock()
        self._changes: Counter[str] = Counter()
        self._seen: set[int] = set()

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


def member_images(archive: Archive, names: Sequence[str]) -> ImageInputs:
    """Return the members of these names as images."""
    return ImageInputs(len(names), lambda i: archive.read(names[i], MAX_BYTES), names)


def image_bytes(row: Mapping[str, Any], column: str) -> bytes:
    """Return the bytes of an image in a row; a path or address in their place is never followed."""
    value = row[column]
    if isinstance(value, Mapping):
        data = value.get("bytes")
        if data is None:
            raise UnreadableSample(
                f"it holds only the path {value.get('path')!r}; embed the bytes of the image in the data"
            )
        return bytes(data)
    if not isinstance(value, bytes):
        raise UnreadableSample("it has no image")
    return value
