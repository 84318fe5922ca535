"""The dashboard's part: it asks a jailed process for what it shows, and never opens data itself."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.numerics import slices
from oga_core.previews.content import Preview
from oga_core.previews.roles import FileContent
from oga_core.runs.folder import RunFolder
from oga_core.worker.limits import WorkerError, WorkerFault, machine_memory
from oga_core.worker.service import Service
from oga_core.worker.supervisor import run_job

if TYPE_CHECKING:
    from oga_core.pipeline.request import PassRequest

READING = ("labels", "label_column", "id_column", "text_column", "modality", "max_samples")
"""The options of a run that say how its data are read."""

_log = logging.getLogger(__name__)

# An image of 40 million pixels, the most that is read, decodes in about 2 s.
_SECONDS = 15.0
# Opening a set of millions of rows and taking its fingerprint.
_START_SECONDS = 900.0
# The index of a large table; an image takes up to 0.3 GB, and a hostile one shall not take the machine.
_MEMORY_GB = max(1.0, 0.25 * machine_memory() / 2**30)
# Previews as text: 6,000 thumbnails of 10 KB.
_CACHE_BYTES = 64 << 20
# How many processes one page may use up; what it then has not seen is left out.
_STARTS = 5
# Data that is gone may come back; asking at every draw would start a process each time.
_REFUSED_SECONDS = 30.0
# Samples between two signs of life of a search: some 0.1 s of reading.
_SEARCHED_AT_ONCE = 5000
# Looking at data before it is scored.
_LOOK_SECONDS = 120.0
# Loading a large model, and a pass over a few samples.
_TRIAL_SECONDS = 600.0


class PreviewReader:
    """What can be seen of the samples of one run, read in a process of its own and kept while there is room."""

    def __init__(self, run: RunFolder):
        data = run.info.data
        labels = data.options.get("labels")
        files = [run.path, *filter(None, (data.path, labels))]
        if run.info.modality == "causal_lm" and run.info.model.path:
            files += [*_files_of(Path(run.info.model.path)), *filter(None, [run.info.options.get("model_card")])]
        self._service = Service(
            "preview",
            {"run": str(run.path)},
            readable=files,
            memory_gb=_MEMORY_GB,
            seconds=_SECONDS,
            start_seconds=_START_SECONDS,
        )
        self._n_samples = run.info.n_samples or len(run.table)
        self._kept: OrderedDict[tuple[int, int], Preview] = OrderedDict()
        self._bytes = 0
        self._refused = ("", 0.0)
        self._lock = threading.Lock()

    def previews(self, rows: Sequence[int], side: int) -> list[Preview]:
        """What can be seen of the samples at `rows` (positions in the run's table), images at most `side` pixels.

        A sample that cannot be read, ends the process or takes too long says so in its place.
        """
        shown = {row: self._kept.get((row, side)) for row in map(int, rows)}
        missing = [row for row, content in shown.items() if content is None]
        if missing:
            shown |= self._read(missing, side)
        return [shown[int(row)] or Preview() for row in rows]

    def tokens(self, row: int) -> dict[str, Any]:
        """Return what of the row at `row` of the run's table a language model is trained on, as `previews.tokens`."""
        answers: list[Mapping[str, Any]] = []
        try:
            self._service.ask({"tokens": [int(row)]}, 1, answers.append)
        except (WorkerError, WorkerFault) as error:
            return {"tokens": [], "n_tokens": 0, "remarks": [], "unreadable": _reason(error)}
        return dict(answers[0])

    def find(self, text: str) -> NDArray[np.bool_]:
        """Which samples hold `text`, whatever its case, `(n_samples,)`; raises `OgaError` where they cannot be read."""
        holds = np.zeros(self._n_samples, dtype=bool)
        n_answers = len(list(slices(self._n_samples, _SEARCHED_AT_ONCE)))
        request = {"find": text, "at_once": _SEARCHED_AT_ONCE}
        try:
            self._service.ask(request, n_answers, lambda answer: holds.__setitem__(answer["rows"], True))
        except (WorkerError, WorkerFault, ValueError, TypeError, LookupError) as error:
            _log.error("a search failed", exc_info=error)
            raise OgaError(f"The samples could not be searched for {text!r}. Remove this filter.") from None
        return holds

    def settles(self, seconds: float) -> bool:
        """Whether the data are open within so many seconds, or cannot be opened."""
        return self._service.settles(seconds)

    def warm(self) -> None:
        """Start the process and let it open the data, before anything is asked for."""
        self._service.start()

    def close(self) -> None:
        """End the process."""
        self._service.close()

    def _read(self, rows: list[int], side: int) -> dict[int, Preview]:
        read: dict[int, Preview] = {}
        suspect = -1
        reason, until = self._refused
        for _ in range(_STARTS):
            waiting = [row for row in rows if row not in read]
            if not waiting or time.monotonic() < until:
                break
            try:
                self._ask(waiting, side, read)
            except (WorkerError, WorkerFault, ValueError, TypeError) as error:
                reason = _reason(error)
                ended_at = next((row for row in waiting if row not in read), -1)
                # A process may end for another reason while it reads a sample; the second time it is the sample.
                if ended_at == suspect:
                    read[suspect] = self._keep(suspect, side, Preview(unreadable=reason))
                suspect = ended_at
            except OgaError as error:
                reason = str(error)
                until = time.monotonic() + _REFUSED_SECONDS
                self._refused = (reason, until)
        return {row: Preview(unreadable=reason) for row in rows} | read

    def _ask(self, rows: list[int], side: int, read: dict[int, Preview]) -> None:
        """Read the samples at `rows` into `read`; they are answered in order."""
        unanswered = iter(rows)

        def take(answer: Mapping[str, Any]) -> None:
            row = next(unanswered)
            read[row] = self._keep(row, side, Preview.from_json(answer))

        self._service.ask({"rows": rows, "side": side}, len(rows), take)

    def _keep(self, row: int, side: int, content: Preview) -> Preview:
        with self._lock:
            former = self._kept.pop((row, side), None)
            self._bytes += content.size - (former.size if former else 0)
            self._kept[row, side] = content
            while self._bytes > _CACHE_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].size
        return content


def _reason(error: Exception) -> str:
    if isinstance(error, WorkerError):
        return f"This sample cannot be shown: {error}"
    _log.error("a preview failed", exc_info=error)
    return "This sample cannot be shown, which is a fault in oga. The server's log has the details."


def content_of(path: Path) -> FileContent:
    """What a file or folder that a person gives holds, told in a worker by its content."""
    readable = _files_of(path) if path.is_dir() else [path, path.with_suffix(".json")]  # a card may lie beside
    answer = run_job("recognise", {"path": str(path)}, readable=readable, memory_gb=_MEMORY_GB, seconds=_LOOK_SECONDS)
    content = FileContent.from_json(answer)
    return replace(content, n_bytes=path.stat().st_size if path.is_file() else 0)


def look_at(path: Path, options: Mapping[str, Any], card: str | None = None) -> dict[str, Any]:
    """What `previews.look` says of data that is not scored yet.

    options: arguments of `read_samples`. card: JSON of the model's, where it is known.
    Raises `OgaError`, also for data that do not fit the card.
    """
    arguments = {"path": str(path), "options": dict(options), "card": card}
    readable = [path, *filter(None, [options.get("labels")])]
    return run_job("look", arguments, readable=readable, memory_gb=_MEMORY_GB, seconds=_LOOK_SECONDS)


def try_some(request: PassRequest) -> dict[str, Any]:
    """What `previews.trial` measures of a model on a few samples, before the start; raises `OgaError`."""
    device = False if request.pass_options["device"] == "cpu" else None
    return run_job("trial", asdict(request), readable=request.readable(), seconds=_TRIAL_SECONDS, accelerator=device)


@dataclass(frozen=True)
class TokenRequest:
    """Which rows of which data are shown as the tokens that a language model is trained on.

    options: of `read_samples`. model_card: its JSON, where one is given. trained_on: one of `TRAINED_ON` or None.
    rows: positions in the data.
    """

    data: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    model_card: str | None = None
    trained_on: str | None = None
    rows: tuple[int, ...] = (0,)


def tokens_of(request: TokenRequest) -> dict[str, Any]:
    """Return what `previews.tokens` says of the rows, from a worker; raises `OgaError`."""
    readable = [Path(request.data), *_files_of(Path(request.model)), *filter(None, [request.options.get("labels")])]
    return run_job("tokens", asdict(request), readable=readable, memory_gb=_MEMORY_GB, seconds=_LOOK_SECONDS)


def _files_of(model: Path) -> list[Path]:
    from oga_core.models import files_of  # with what tells formats apart, which most pages need nothing of

    return files_of(model)
