"""WebDataset tar files: members grouped by their name before the first point; only known kinds are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from oga_core.errors import OgaError, UnreadableSample
from oga_core.readers.archives.archive import Archive
from oga_core.readers.assembly import Draft, ReadOptions
from oga_core.readers.columns import choose, some
from oga_core.readers.image_data import SUFFIXES
from oga_core.readers.image_inputs import member_images
from oga_core.readers.tables.json_rows import parse_json_row
from oga_core.readers.tables.table import label_text
from oga_core.samples import Problem, Source

MAX_TEXT_BYTES = 4_000_000  # a member of this kind holds one text or one label
LABEL_KINDS = ("cls", "label", "json", "txt")
TEXT_KINDS = ("txt", "text")
READ_KINDS = frozenset({*LABEL_KINDS, *TEXT_KINDS})


def is_webdataset(archive: Archive) -> bool:
    """Whether most images or texts have a label of the same name beside them."""
    groups: dict[str, set[str]] = {}
    for name in archive.names:
        key, kind = _split(name)
        groups.setdefault(key, set()).add(kind)
    labelled = sum("cls" in kinds or len(kinds & READ_KINDS) + _holds_image(kinds) > 1 for kinds in groups.values())
    return labelled > len(groups) / 2


def _holds_image(kinds: set[str]) -> bool:
    return any(f".{kind}" in SUFFIXES for kind in kinds)


def read_webdataset(archive: Archive, options: ReadOptions) -> Draft:
    """Read images or texts with `.cls`, `.json` or `.txt` labels; other members are listed, never decoded."""
    groups: dict[str, dict[str, str]] = {}
    for name in archive.names:
        key, kind = _split(name)
        groups.setdefault(key, {})[kind] = name
    kinds = {kind for group in groups.values() for kind in group}
    images = sorted(kind for kind in kinds if f".{kind}" in SUFFIXES)
    text = None if images else next((kind for kind in TEXT_KINDS if kind in kinds), None)
    if not images and text is None:
        raise OgaError(f"{archive.path.name} holds neither images nor texts; its members end in {some(sorted(kinds))}.")
    label_kind = next((kind for kind in LABEL_KINDS if kind in kinds and kind != text), None)
    if label_kind is None:
        raise OgaError(f"{archive.path.name} has no labels: no member ends in .cls, .label, .json or .txt. Add them.")
    return _draft(archive, groups, images or [text or ""], label_kind, options, is_image=bool(images))


def _draft(
    archive: Archive,
    groups: Mapping[str, Mapping[str, str]],
    content_kinds: Sequence[str],
    label_kind: str,
    options: ReadOptions,
    *,
    is_image: bool,
) -> Draft:
    samples: list[_Sample] = []
    problems: list[Problem] = []
    for row, (key, group) in enumerate(groups.items()):
        member = next((group[kind] for kind in content_kinds if kind in group), None)
        if member is None:
            problems.append(Problem(key, row, f"it has no .{' or .'.join(content_kinds)} file"))
            continue
        try:
            samples.append(_Sample(key, row, member, _label(archive, group, label_kind, options)))
        except (ValueError, OgaError) as error:
            problems.append(Problem(key, row, f"its .{label_kind} file cannot be read: {error}"))
    unread = sorted({kind for group in groups.values() for kind in group} - READ_KINDS - set(content_kinds))
    ids = [sample.key for sample in samples]
    labels = [sample.label for sample in samples]
    members = [sample.member for sample in samples]
    return Draft(
        ids=ids,
        labels=labels,
        inputs=member_images(archive, members) if is_image else _Texts(archive, members),
        rows=_Rows([groups[key] for key in ids], ids, labels),
        row_numbers=np.array([sample.row for sample in samples], dtype=np.int64),
        modality="image" if is_image else "text",
        source=Source(archive.path, "webdataset", columns={"label": label_kind, "id": "__key__"}),
        problems=problems,
        notes=[f"Members ending in {some(unread)} were not read."] if unread else [],
    )


class _Sample(NamedTuple):
    key: str
    row: int
    member: str
    label: str | None


class _Texts(Sequence[Any]):
    def __init__(self, archive: Archive, members: Sequence[str]):
        self._archive = archive
        self._members = members

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, i: Any) -> Any:
        try:
            return _text(self._archive, self._members[i])
        except (ValueError, OgaError) as error:
            raise UnreadableSample(str(error)) from None


class _Rows(Sequence[Any]):
    def __init__(self, groups: Sequence[Mapping[str, str]], keys: Sequence[str], labels: Sequence[str | None]):
        self._groups = groups
        self._keys = keys
        self._labels = labels

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, i: Any) -> Any:
        return {"__key__": self._keys[i], **self._groups[i], "label": self._labels[i]}


def _label(archive: Archive, group: Mapping[str, str], kind: str, options: ReadOptions) -> str | None:
    if kind not in group:
        return None
    if kind != "json":
        return _text(archive, group[kind]).strip()
    row = parse_json_row(archive.read(group[kind], MAX_TEXT_BYTES))
    column = choose("label", tuple(row), options.label_column, group[kind])
    return label_text(row[column]) if column else None


def _text(archive: Archive, member: str) -> str:
    try:
        return archive.read(member, MAX_TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def _split(name: str) -> tuple[str, str]:
    """Split `folder/key.kind` at the first point of the last part, as WebDataset does."""
    path = PurePosixPath(name)
    stem, _, kind = path.name.partition(".")
    return str(path.with_name(stem)) if stem else name, kind.casefold()
