"""Places in a row as JSON Pointers (RFC 6901), such as `/messages/3/content`: named, and written there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from oga_core.errors import OgaError


def pointer(*keys: str | int) -> str:
    """Return the pointer to what lies under these keys and list positions, the column first."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def keys_of(place: str) -> list[str]:
    """Return the keys of a pointer, the column first; raises `OgaError` for a text that is none."""
    head, *keys = place.split("/")
    if head or not keys:
        raise OgaError(f"{place!r} is no place in a row. Give a JSON Pointer, such as '/messages/1/content'.")
    return [key.replace("~1", "/").replace("~0", "~") for key in keys]


def replaced(value: Any, keys: list[str], new: Any) -> Any:
    """Return `value` with `new` in the place under `keys`; a text on the way is read as JSON and written as such.

    Raises `LookupError` where there is no such place.
    """
    if not keys:
        return new
    if isinstance(value, str):
        return json.dumps(replaced(json.loads(value), keys, new), ensure_ascii=False)
    if isinstance(value, Mapping):
        if keys[0] not in value:
            raise KeyError(keys[0])
        return {**value, keys[0]: replaced(value[keys[0]], keys[1:], new)}
    if not isinstance(value, (list, tuple)) or not keys[0].isdecimal():
        raise KeyError(keys[0])
    position = int(keys[0])
    return [*value[:position], replaced(value[position], keys[1:], new), *value[position + 1 :]]
