"""Hugging Face `save_to_disk` folders and zips; only files beside the state file are opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow as pa

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import Archive
from oga_core.readers.columns import some, train_part
from oga_core.readers.tables.arrow import ArrowTable

_MAX_STATE_BYTES = 1 << 20  # a list of file names


def open_saved_dataset(archive: Archive) -> ArrowTable | None:
    """Open a folder or zip written by `save_to_disk`, the train part of several; None where it is not one."""
    saved = saved_files(archive)
    if saved is None:
        return None
    state, files, left_out = saved
    is_folder = archive.path.is_dir()
    sources = [
        (name, pa.memory_map(str(archive.path / name)) if is_folder else pa.BufferReader(archive.read(name)))
        for name in files
    ]
    table = ArrowTable(sources, archive.path.name)
    if left_out:
        table.notes.append(f"Read from {state.removesuffix('/state.json')!r}; left out: {some(left_out)}.")
    return table


def saved_files(archive: Archive) -> tuple[str, list[str], list[str]] | None:
    """Return the state file and the Arrow files, in order, of the part that is read, and the parts left out."""
    states = [name for name in archive.names if name == "state.json" or name.endswith("/state.json")]
    if not states or not any(name.endswith(".arrow") for name in archive.names):
        return None
    state, left_out = _train_part(archive, states)
    folder = state.removesuffix("state.json")
    files = _data_files(archive, state)
    for file in files:
        if "/" in file or "\\" in file or not archive.has(folder + file):
            raise OgaError(
                f"{state} in {archive.path.name} names the file {file!r}, which is not beside it. Save it again."
            )
    return state, [folder + file for file in files], left_out


def _train_part(archive: Archive, states: Sequence[str]) -> tuple[str, list[str]]:
    if len(states) == 1:
        return states[0], []
    parts = {PurePosixPath(state).parent.name: state for state in states}
    part = train_part(list(parts), archive.path.name)
    return parts[part], sorted(set(parts) - {part})


def _data_files(archive: Archive, state: str) -> list[str]:
    try:
        files = [entry["filename"] for entry in json.loads(archive.read(state, _MAX_STATE_BYTES))["_data_files"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise OgaError(
            f"{state} in {archive.path.name} does not list its data files. Save the data set again."
        ) from None
    if not files or not all(isinstance(file, str) for file in files):
        raise OgaError(f"{state} in {archive.path.name} does not list its data files. Save the data set again.")
    return files
