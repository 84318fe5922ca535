"""The folder of a shard and its marker, which is written last: what has none is not done."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.files import unwritable, write_whole
from oga_core.gradients.batches import Shard
from oga_core.runs.folder import SHARDS
from oga_core.runs.info import read_json

MARKER = "shard.json"
SCHEMA = 1
"""The version of the marker."""


@dataclass(frozen=True)
class Marker:
    """What a finished shard says: which it is, the options, the model's path, and the record of its pass."""

    shard: Shard
    options: dict[str, Any]
    model: str | None
    record: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Marker | None:
        """Return the marker in a shard's folder, None where the shard is not done."""
        content = read_json(folder / MARKER)
        if not content:
            return None
        if content.get("schema") != SCHEMA:
            raise OgaError(f"The shard in {folder} was written by another version of oga. Score it again.")
        try:
            return cls(Shard(**content["shard"]), content["options"], content["model"], content["record"])
        except (KeyError, TypeError):
            raise OgaError(f"{folder / MARKER} is damaged. Remove the folder, and score the shard again.") from None

    def write(self, folder: Path) -> None:
        """Say that the shard in `folder` is done."""
        content = json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, ensure_ascii=False)
        write_whole(folder / MARKER, lambda path: path.write_text(content, encoding="utf-8"))


def shard_folder(run: Path, shard: Shard) -> Path:
    """Return where a shard of a run lies."""
    return run / SHARDS / f"{shard.number:05d}-of-{shard.count:05d}"


def markers(run: Path) -> list[tuple[Path, Marker]]:
    """Return the finished shards of a run with their folders, in their order."""
    folders = sorted((run / SHARDS).glob("*-of-*"))
    return [(folder, marker) for folder in folders if (marker := Marker.read(folder)) is not None]


def publish(scratch: Path, folder: Path, marker: Marker) -> None:
    """Put the files of a shard into its folder, each whole, and the marker last; what lay there before goes first."""
    (folder / MARKER).unlink(missing_ok=True)
    files = [path.relative_to(scratch) for path in sorted(scratch.rglob("*")) if path.is_file()]
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder) not in files:
            path.unlink()
    for name in files:
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        write_whole(folder / name, lambda path, source=scratch / name: shutil.copyfile(source, path))  # type: ignore[misc]
    marker.write(folder)
