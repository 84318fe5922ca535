"""The only file with Streamlit's caches; keys are paths and time stamps of files, never arrays."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from oga_app import state
from oga_app.background.explaining import Explainer
from oga_app.background.verifying import Verification
from oga_app.components.map.points import MapPoints
from oga_app.elements.targets import values
from oga_core.ask.asker import Asker
from oga_core.errors import OgaError
from oga_core.previews.reader import (
    READING,
    PreviewReader,
    TokenRequest,
    content_of,
    look_at,
    tokens_of,
    try_some,
)
from oga_core.previews.roles import UNKNOWN, UNREAD, FileContent
from oga_core.review import ReviewStore
from oga_core.review.board import DecisionBoard
from oga_core.review.filters import Filters
from oga_core.review.queue import mixed_queue
from oga_core.review.selection import Selection
from oga_core.runs.evidence import Evidence
from oga_core.runs.scored import ScoredRun
from oga_core.worker.limits import WorkerError

if TYPE_CHECKING:
    from oga_core.pipeline.request import PassRequest
    from oga_core.threshold.expectation import Expectation

SOON = 200_000
"""Samples whose data are open within seconds; those of more are opened once a page shows some, and it doesn't wait."""

Stamp = tuple[int, int, int]
Asked = tuple[str, tuple[int, ...], str, int]
"""What a selection depends on: filters, the decisions that they ask for, score and threshold."""


def stamp(run: Path) -> Stamp:
    """What changes whenever a run's table or description is written again."""
    files = [run / "scores.parquet", run / "run.json"]
    times = [path.stat().st_mtime_ns if path.is_file() else 0 for path in files]
    return times[0], times[1], files[0].stat().st_size if times[0] else 0


def run_data(run: Path) -> ScoredRun:
    """The run's arrays, read once for each version of its files."""
    return _run_data(str(run), stamp(run), state.session().settings.closed)


def warm(run: Path, closed: str) -> None:
    """Read a run before anybody asks for it, with what its first page shows; `closed`: why samples are not read."""
    data = _run_data(str(run), stamp(run), closed)
    decided = board(data)
    points(data, data.default_score)
    expectation(data, decided, data.default_score)


def board(data: ScoredRun) -> DecisionBoard:
    """The run's decisions, up to date."""
    return _board(*data.version, data).refresh()


def points(data: ScoredRun, score: str) -> MapPoints | None:
    """The map packed for the browser, None where the run has no map."""
    if data.positions is None:
        return None
    return _points(*data.version, score, data)


def reader(data: ScoredRun) -> PreviewReader:
    """The process that reads the run's data; raises `OgaError` where that is closed."""
    state.session().settings.require_jail()
    return _reader(str(data.path), data.info.data.fingerprint, len(data), data)


def content(path: Path) -> FileContent:
    """What a file or folder holds that is given for a new run."""
    state.session().settings.require_jail()
    return _content(*_file(path))


def look_again(path: Path) -> None:
    """Forget what a file holds, where looking at it was stopped."""
    _content.clear(*_file(path))


def tokens(request: TokenRequest) -> dict[str, Any]:
    """Rows token by token as a language model is trained on them, read once while data and model stay the same."""
    state.session().settings.require_jail()
    changed = tuple(path.stat().st_mtime_ns for path in (Path(request.data), Path(request.model)) if path.exists())
    return _tokens(request, changed)


def looked(path: Path, options: Mapping[str, Any], card: str | None) -> dict[str, Any]:
    """What data hold that are not scored yet, `error` where they cannot be read so, `late` where it took too long."""
    state.session().settings.require_jail()
    reading = {name: value for name, value in options.items() if name in READING and value is not None}
    named = json.dumps(reading, sort_keys=True, default=str)
    return _looked(*_file(path), named, card)


def tried(request: PassRequest) -> dict[str, Any]:
    """What a trial of a model on a few samples measured, `error` where it failed; done once while the files stay."""
    state.session().settings.require_jail()
    changed = tuple(path.stat().st_mtime_ns for path in request.readable() if path.exists())
    return _tried(json.dumps(asdict(request), sort_keys=True), changed, request)


def selection(data: ScoredRun, board: DecisionBoard, filters: Filters, score: str, flagged: int) -> Selection:
    """What passes the filter, seen from the threshold; worked out once for all views, and not to be changed."""
    asked = filters.to_json(), board_version(filters, board), score, flagged
    # Score and threshold decide which samples pass only where the filter asks for a side of it.
    passing = asked if filters.side is not None else (*asked[:2], data.default_score, 0)
    return _selection(*data.version, asked, data, _chosen(*data.version, passing, data, board, filters))


def queue(selection: Selection, filters: Filters, board: DecisionBoard) -> NDArray[np.int64]:
    """The rows to review, in order, worked out once for each threshold and filter; not to be changed."""
    asked = filters.to_json(), board_version(filters, board), selection.score, selection.threshold
    return _queue(*selection.data.version, asked, selection)


def board_version(filters: Filters, board: DecisionBoard) -> tuple[int, ...]:
    """What changes with the decisions that the filter asks for; empty where others change nothing."""
    if filters.decision or filters.reviewer:
        return (board.version,)
    return board.learnt if filters.probability_range else ()


def evidence(data: ScoredRun) -> Evidence:
    """Probabilities and neighbours of the run's samples."""
    return _evidence(*data.version, data)


def expectation(data: ScoredRun, board: DecisionBoard, score: str, every: int = 1) -> Expectation:
    """What to expect at any threshold, from the verdicts so far; learnt again after `every` more of them."""
    return _expectation(*data.version, score, board.step(every), board)


def asker(data: ScoredRun) -> Asker:
    """The process that says which rows of a language model's data made it say something; it loads the model.

    Raises `OgaError` where that is closed.
    """
    state.session().settings.require_jail()
    return _asker(str(data.path), data.info.fingerprint, data)


def explainer(data: ScoredRun) -> Explainer:
    """Saliency of the run's samples, computed in the background."""
    return _explainer(str(data.path), data.info.fingerprint, data)


@st.cache_resource(show_spinner=False)
def verifications() -> dict[str, Verification]:
    """The comparisons that were started since the server was, by run."""
    return {}


@st.cache_resource(max_entries=6, show_spinner=False)
def _run_data(run: str, stamp: Stamp, _closed: str) -> ScoredRun:
    data = ScoredRun(Path(run))
    data.version = (run, stamp)
    if len(data) > SOON:
        for work in (lambda: data.rank(data.default_score), lambda: data.clusters):
            threading.Thread(target=_ahead, args=(work,), daemon=True).start()
    elif not _closed:
        _reader(str(data.path), data.info.data.fingerprint, len(data), data).warm()
    return data


def _ahead(work: Callable[[], object]) -> None:
    """Do what the first page is about to ask for, most of a second at ten million, while it draws what is above."""
    with contextlib.suppress(OgaError):  # of a damaged column the page says so
        work()


@st.cache_resource(max_entries=12, show_spinner=False)
def _store(run: str) -> ReviewStore:
    return ReviewStore(Path(run) / "review.sqlite")


@st.cache_resource(max_entries=6, show_spinner=False)
def _board(run: str, stamp: Stamp, _data: ScoredRun) -> DecisionBoard:
    return DecisionBoard(_data, _store(run))


# A selection takes up to nine bytes a sample, what it is made of one.
@st.cache_resource(max_entries=16, show_spinner=False)
def _chosen(
    run: str, stamp: Stamp, passing: Asked, _data: ScoredRun, _board: DecisionBoard, _filters: Filters
) -> NDArray[np.bool_]:
    *_, score, flagged = passing
    return Selection.of(_filters, _data, _board, score, flagged, lambda text: reader(_data).find(text)).chosen


@st.cache_resource(max_entries=6, show_spinner=False)
def _selection(run: str, stamp: Stamp, asked: Asked, _data: ScoredRun, _chosen: NDArray[np.bool_]) -> Selection:
    *_, score, flagged = asked
    return Selection(_data, score, flagged, _chosen)


@st.cache_resource(max_entries=8, show_spinner=False)
def _points(run: str, stamp: Stamp, score: str, _data: ScoredRun) -> MapPoints:
    assert _data.positions is not None, "the map is drawn only where there are positions"
    labels, names = values.ranges(_data) if _data.target == "number" else (_data.given, _data.classes)
    return MapPoints.pack(
        _data.positions,
        _data.ranked(score),
        labels=labels,
        label_names=names,
        findings=_data.finding,
        finding_names=_data.finding_names,
    )


# Each holds a process; the fifth run in an hour ends the one that was looked at longest ago.
@st.cache_resource(max_entries=4, ttl=3600, show_spinner=False, on_release=PreviewReader.close)
def _reader(run: str, fingerprint: str, n_samples: int, _data: ScoredRun) -> PreviewReader:
    return PreviewReader(_data.run)


# Each holds a model.
@st.cache_resource(max_entries=2, ttl=3600, show_spinner=False, on_release=Asker.close)
def _asker(run: str, fingerprint: str, _data: ScoredRun) -> Asker:
    asker = Asker(_data.run)
    asker.start()
    return asker


def _file(path: Path) -> tuple[str, tuple[int, int]]:
    return str(path), (path.stat().st_mtime_ns, path.stat().st_size)


@st.cache_data(max_entries=100, show_spinner="Looking at what it is")
def _content(path: str, changed: tuple[int, int]) -> FileContent:
    try:
        return content_of(Path(path))
    except OgaError as error:
        return FileContent(Path(path).name, UNREAD if isinstance(error, WorkerError) else UNKNOWN, problem=str(error))


@st.cache_data(max_entries=50, show_spinner=False)
def _tokens(request: TokenRequest, changed: tuple[int, ...]) -> dict[str, Any]:
    return tokens_of(request)


@st.cache_data(max_entries=50, show_spinner="Trying the model on a few samples")
def _tried(name: str, changed: tuple[int, ...], _request: PassRequest) -> dict[str, Any]:
    try:
        return try_some(_request)
    except OgaError as error:
        return {"error": str(error)}


@st.cache_data(max_entries=100, show_spinner="Reading the data")
def _looked(path: str, changed: tuple[int, int], options: str, card: str | None) -> dict[str, Any]:
    try:
        return look_at(Path(path), json.loads(options), card)
    except WorkerError as error:
        return {"late": str(error)}
    except OgaError as error:
        return {"error": str(error)}


@st.cache_resource(max_entries=6, show_spinner=False)
def _evidence(run: str, stamp: Stamp, _data: ScoredRun) -> Evidence:
    return Evidence(_data)


@st.cache_resource(max_entries=12, show_spinner=False)
def _expectation(run: str, stamp: Stamp, score: str, step: tuple[int, int], _board: DecisionBoard) -> Expectation:
    return _board.expectation(score)


@st.cache_resource(max_entries=6, show_spinner=False)
def _explainer(run: str, fingerprint: str, _data: ScoredRun) -> Explainer:
    return Explainer(_data)


@st.cache_resource(max_entries=12, show_spinner=False)
def _queue(run: str, stamp: Stamp, asked: Asked, _selected: Selection) -> NDArray[np.int64]:
    return mixed_queue(_selected)
