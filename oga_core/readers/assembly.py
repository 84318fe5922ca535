"""From the draft of a reader to a checked `SampleSet`: the checks that hold for every format."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError, unknown
from oga_core.readers.archives.archive import Archive
from oga_core.readers.columns import some
from oga_core.samples import MODALITIES, Modality, Problem, SampleSet, Source, check_share

if TYPE_CHECKING:
    from oga_core.readers.masks.masks import Masks

MAX_LABEL_CHARACTERS = 1_000  # a longer label is a text in the wrong column
_WHOLE_FILE_BYTES = 256_000_000  # hashed in about a second
_EDGE_BYTES = 1 << 20


@dataclass(frozen=True)
class ReadOptions:
    """How a person asked for the data to be read; None means recognise."""

    labels: Path | None = None
    label_column: str | None = None
    id_column: str | None = None
    text_column: str | None = None
    modality: Modality | None = None
    max_samples: int | None = None

    def __post_init__(self) -> None:
        for name in ("label_column", "id_column", "text_column", "modality"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise OgaError(f"{name} must be a text. Got {value!r} instead.")
        if self.max_samples is not None and (
            isinstance(self.max_samples, bool) or not isinstance(self.max_samples, int)
        ):
            raise OgaError(f"max_samples must be a whole number. Got {self.max_samples!r} instead.")
        if self.modality is not None and self.modality not in MODALITIES:
            raise unknown("modality", self.modality, MODALITIES)
        if self.max_samples is not None and self.max_samples < 1:
            raise OgaError(f"--max-samples must be 1 or more. Got {self.max_samples} instead.")

    def wants(self, *modalities: Modality) -> bool:
        """Whether the modality is open or one of these."""
        return self.modality is None or self.modality in modalities


@dataclass
class Draft:
    """What a reader hands on: parallel sequences, one entry per row that could be read, in the data's order.

    labels: names as written, None or "" where missing; None as a whole for data without labels.
    class_names: the order of the classes, where the data states it.
    """

    ids: list[str]
    labels: Sequence[str | None] | None
    inputs: Sequence[Any]
    rows: Sequence[Mapping[str, Any]]
    modality: Modality
    source: Source
    row_numbers: NDArray[np.int64] | None = None
    class_names: Sequence[str] | None = None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    masks: Masks | None = None


def finish(draft: Draft, options: ReadOptions, fingerprint: str) -> SampleSet:
    """Check a draft and make the `SampleSet`.

    Raises `OgaError` for no samples, repeated ids, or more than 5 % of the rows unreadable or without a label.
    """
    name = draft.source.path.name
    row_numbers = np.arange(len(draft.ids)) if draft.row_numbers is None else draft.row_numbers
    usable = np.arange(len(draft.ids))
    if draft.labels is not None:
        unlabelled = [i for i, label in enumerate(draft.labels) if not (label and label.strip())]
        explained = {problem.row for problem in draft.problems}
        draft.problems += [
            Problem(draft.ids[i], int(row_numbers[i]), "it has no label")
            for i in unlabelled
            if int(row_numbers[i]) not in explained
        ]
        usable = np.delete(usable, unlabelled)
    check_share(name, draft.problems, len(usable))
    if len(usable) == 0:
        raise OgaError(f"{name} holds no samples. Give a data set with at least one row.")
    _check_nul(name, draft.ids, draft.labels or ())
    _check_unique(name, draft.ids)
    sampled = _evenly(usable, options.max_samples, draft.notes)
    samples = _sample_set(draft, row_numbers, _with_options(fingerprint, options))
    return samples if len(sampled) == len(samples) else samples.take(sampled)


def _sample_set(draft: Draft, row_numbers: NDArray[np.int64], fingerprint: str) -> SampleSet:
    given_labels, class_names = _numbered(draft)
    return SampleSet(
        ids=np.array(draft.ids, dtype=object),
        inputs=draft.inputs,
        given_labels=given_labels,
        class_names=class_names,
        modality=draft.modality,
        rows=draft.rows,
        row_numbers=np.asarray(row_numbers, dtype=np.int64),
        source=draft.source,
        fingerprint=fingerprint,
        problems=tuple(sorted(draft.problems, key=lambda problem: problem.row)),
        notes=tuple(draft.notes),
        masks=draft.masks,
    )


def file_fingerprint(*paths: Path | None) -> str:
    """Hash files by content; above 256 MB by size, time of change, first and last megabyte."""
    digest = hashlib.blake2b(digest_size=16)
    for path in filter(None, paths):
        status = path.stat()
        with path.open("rb") as file:
            if status.st_size <= _WHOLE_FILE_BYTES:
                while block := file.read(_EDGE_BYTES):
                    digest.update(block)
            else:
                digest.update(f"{status.st_size} {status.st_mtime_ns}".encode() + file.read(_EDGE_BYTES))
                file.seek(-_EDGE_BYTES, 2)
                digest.update(file.read())
        digest.update(b"|")
    return digest.hexdigest()


def data_fingerprint(path: Path, options: ReadOptions) -> str:
    """What a `SampleSet` of this file has as its fingerprint, read with these options."""
    return _with_options(file_fingerprint(path, options.labels), options)


def archive_fingerprint(archive: Archive, labels: Path | None = None) -> str:
    """Hash a folder by names, sizes and times of change; an archive file as a file."""
    if archive.path.is_file():
        return file_fingerprint(archive.path, labels)
    digest = hashlib.blake2b(digest_size=16)
    for stamp in archive.stamps():
        digest.update(repr(stamp).encode())
    return digest.hexdigest() + (file_fingerprint(labels) if labels else "")


def _with_options(fingerprint: str, options: ReadOptions) -> str:
    choices = {key: value for key, value in vars(options).items() if value is not None and key != "labels"}
    return hashlib.blake2b((fingerprint + json.dumps(choices, sort_keys=True)).encode(), digest_size=16).hexdigest()


def _check_nul(name: str, ids: Sequence[str], labels: Sequence[str | None]) -> None:
    """Raise `OgaError` for a NUL in an id or label: systems and databases end a text there."""
    for what, values in (("id", ids), ("label", labels)):
        if bad := next((value for value in values if value and "\0" in value), None):
            raise OgaError(f"{name} holds a NUL character in the {what} {bad[:80]!a}. Take it out.")


def _check_unique(name: str, ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        repeated = [sample_id for sample_id, count in Counter(ids).items() if count > 1]
        raise OgaError(
            f"{name} uses {len(repeated)} id(s) more than once: {some(repeated, 5)}. "
            "Make the ids unique, or choose another column with --id-column."
        )


def _evenly(places: NDArray[np.int64], max_samples: int | None, notes: list[str]) -> NDArray[np.int64]:
    if max_samples is None or max_samples >= len(places):
        return places
    notes.append(f"{max_samples:,} of {len(places):,} samples are used, evenly spaced (--max-samples).")
    return places[np.arange(max_samples) * len(places) // max_samples]


def _numbered(draft: Draft) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the labels, -1 for a missing one; the classes are those of the whole data, also where a part is taken."""
    if draft.labels is None:
        names = draft.class_names if draft.masks is not None else None
        return np.full(len(draft.ids), -1, dtype=np.int64), tuple(names or ())
    used = {label for label in draft.labels if label}
    names = list(draft.class_names) if draft.class_names is not None else _sorted(used)
    longest = max(used, key=len, default="")
    if len(longest) > MAX_LABEL_CHARACTERS and "words" not in draft.source.columns:  # one tag a word
        raise OgaError(
            f"A label of {draft.source.path.name} has {len(longest):,} characters: {longest[:40]!r}… "
            "Choose the column that holds the class with --label-column."
        )
    if len(used) == 1:
        draft.notes.append(f"Every sample has the same label, {next(iter(used))!r}: most scores say little then.")
    index = {name: i for i, name in enumerate(names)}
    return np.array([index.get(label or "", -1) for label in draft.labels], dtype=np.int64), tuple(names)


def _sorted(names: set[str]) -> list[str]:
    if all(name.isascii() and name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
