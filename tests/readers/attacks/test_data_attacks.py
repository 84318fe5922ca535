"""Hostile data: no payload runs, nothing outside is opened, the message is for a person, memory and time stay small."""

from __future__ import annotations

import resource
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_attacks import REFUSED, UNREADABLE
from data_attacks_archives import many_entries

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.archives.zip_file import _inflated
from oga_core.samples import UnreadableSample

MAX_SECONDS = 15  # of the processor, so that a busy machine upsets nothing
MAX_GROWTH_MB = 400
WATCHED = ("socket.connect", "subprocess.Popen", "os.system", "os.exec", "pickle.find_class", "urllib.Request")
_events: list[str] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _events is not None and (event in WATCHED or (event == "open" and "secret" in str(arguments[0]))):
        _events.append(f"{event} {arguments}")


sys.addaudithook(_watch)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Path]:
    """Fail on any payload, network access, program, or too much memory or time."""
    global _events
    before, start, _events = _peak_mb(), time.process_time(), None
    yield tmp_path
    events, _events = _events, None
    assert not events, events
    assert not (tmp_path / "marker").exists()
    assert time.process_time() - start < MAX_SECONDS
    assert _peak_mb() - before < MAX_GROWTH_MB


def _start_watching() -> None:
    global _events
    _events = []


def _peak_mb() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_with_a_sentence(name: str, guarded: Path) -> None:
    build, message = REFUSED[name]
    path = build(guarded)
    _start_watching()
    labels = guarded / "labels.csv"
    with pytest.raises(OgaError, match=message) as caught:
        read_samples(path, labels=labels if labels.exists() else None)
    assert str(caught.value).endswith((".", ")"))
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_broken_sample_says_why(name: str, guarded: Path) -> None:
    build, message = UNREADABLE[name]
    path = build(guarded)
    _start_watching()
    samples = read_samples(path)
    with pytest.raises(UnreadableSample, match=message):
        samples.inputs[0]


def test_two_hundred_thousand_members_open_in_time(guarded: Path) -> None:
    samples = read_samples(many_entries(guarded / "a.zip", 200_000))
    assert len(samples) == 200_000
    with pytest.raises(UnreadableSample, match="the file is empty"):
        samples.inputs[199_999]


def test_unpacking_stops_at_the_stated_size() -> None:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert len(_inflated(packer.compress(bytes(10_000_000)) + packer.flush(), 100)) == 101
