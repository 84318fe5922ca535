"""The register of hostile data files, and what several of them are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reader_sets import encoded, picture

Builder = Callable[[Path], Path]
REFUSED: dict[str, tuple[Builder, str]] = {}
UNREADABLE: dict[str, tuple[Builder, str]] = {}
PNG = encoded(picture(0))
HEADER = "id,text,label\n"


def refused(message: str) -> Callable[[Builder], Builder]:
    """Register a builder whose file must be refused with a message that matches."""

    def register(builder: Builder) -> Builder:
        REFUSED[builder.__name__] = (builder, message)
        return builder

    return register


class Payload:
    """Unpickling this creates the marker."""

    def __init__(self, folder: Path):
        self.command = f"touch {folder / 'marker'}"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        import os

        return os.system, (self.command,)


def csv_file(tmp: Path, content: str | bytes, name: str = "a.csv") -> Path:
    (tmp / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp / name


def unreadable(name: str, build: Builder, message: str) -> None:
    """Register a builder whose first sample must be unreadable, with a message that matches."""
    UNREADABLE[name] = (build, message)
