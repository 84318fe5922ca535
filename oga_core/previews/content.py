"""What can be seen of a sample: a picture, a text, the fields of a row, or a conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]*")

_COLOUR = re.compile(r"(#[0-9a-f]{6})?")


@dataclass(frozen=True)
class Preview:
    """The parts of a sample that a `SampleView` shows; `unreadable` is a sentence where nothing can be shown.

    words: of a sentence whose words have tags. pair: the two answers of a preference pair, each with its name.
    responses: (place, text) of what may be edited. layers: (name, address) of what may lie over the image. legend:
    (class, colour) of what the layers show, "" for a class without one.
    """

    image: str | None = None
    pixelated: bool = False
    text: str | None = None
    text_pair: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    pair: tuple[tuple[str, str], ...] = ()
    responses: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    layers: tuple[tuple[str, str], ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    unreadable: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Preview:
        """Read what the worker sent; nothing of it but text and pictures is believed."""
        image = str(content.get("image"))
        return cls(
            image=image if _PICTURE.fullmatch(image) else None,
            pixelated=content.get("pixelated") is True,
            text=_text(content.get("text")),
            text_pair=_text(content.get("text_pair")),
            words=tuple(map(str, content.get("words") or ())),
            layers=tuple(pair for pair in _pairs(content.get("layers")) if _PICTURE.fullmatch(pair[1])),
            legend=tuple(pair for pair in _pairs(content.get("legend")) if _COLOUR.fullmatch(pair[1])),
            fields=_pairs(content.get("fields")),
            messages=_pairs(content.get("messages")),
            pair=_pairs(content.get("pair")),
            responses=_pairs(content.get("responses")),
            unreadable=_text(content.get("unreadable")) or "",
        )

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        parts = [self.image, self.text, self.text_pair, self.unreadable, *self.words]
        all_pairs = (*self.fields, *self.messages, *self.pair, *self.responses, *self.layers, *self.legend)
        pairs = [text for pair in all_pairs for text in pair]
        return sum(len(text) for text in (*parts, *pairs) if text)


def _text(content: Any) -> str | None:
    return None if content is None else str(content)


def _pairs(content: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in content or ())
