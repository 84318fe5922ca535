"""Asks a run which of its rows made the model say something; the work is done in a jailed process that stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from oga_core.ask.methods import METHODS, default_method
from oga_core.errors import OgaError, unknown
from oga_core.models import files_of
from oga_core.models.factory import OWN_CODE
from oga_core.runs.folder import RunFolder
from oga_core.worker.limits import machine_memory
from oga_core.worker.service import Service

_SECONDS = 600.0  # a response of a large model on a processor
_START_SECONDS = 900.0  # the index of a large table's words, and a large model
_MEMORY_SHARE = 0.9
MOST_ROWS = 1000
"""Rows of each list: who wants more wants the whole ranking of `oga score`."""


@dataclass(frozen=True)
class Pushed:
    """The training rows that pushed for a response and those that pushed against it, the strongest first.

    Columns: row, id, score (how much a step on the row lowers the loss of the response, in the method's own unit),
    words (share of words in common, 0 to 1), place_by_words (its place among all rows by BM25, 1 is the most alike),
    text.
    """

    pushed_for: pd.DataFrame
    pushed_against: pd.DataFrame


@dataclass(frozen=True)
class Answer:
    """What a run says to a question.

    method: one of `METHODS`. queries: each with text, loss (of the response, mean over its tokens), prompt, response
    and generated (whether the model wrote the response), or the id of a row. whole: whether gradients were compared
    whole, not by sketches. mean: for the mean gradient of all queries. each: for each query, where there are several.
    """

    method: str
    queries: tuple[dict[str, Any], ...]
    whole: bool
    mean: Pushed
    each: tuple[Pushed, ...]

    @property
    def pushed_for(self) -> pd.DataFrame:
        """The rows that pushed for the response, or for the responses on average."""
        return self.mean.pushed_for

    @property
    def pushed_against(self) -> pd.DataFrame:
        """The rows that pushed against it."""
        return self.mean.pushed_against

    def as_json(self) -> dict[str, Any]:
        """The answer as `oga ask` prints it."""
        return {
            "method": self.method,
            "whole_gradients": self.whole,
            "queries": list(self.queries),
            **_records(self.mean),
            "each": [_records(pushed) for pushed in self.each],
        }


class Asker:
    """One run's process: started when first asked or by `start`, ended when idle or by `close`.

    file: rows that it may be asked about, in any form that `read_samples` takes. Raises `OgaError` for a run that is
    not of a language model. Where no method is asked for, it is `default_method`.
    """

    def __init__(self, run: RunFolder, *, file: Path | str | None = None):
        info = run.info
        if info.modality != "causal_lm":
            raise OgaError(f"Only runs of language models can be asked, and {run.path.name} is of another kind.")
        if info.options.get("model_factory"):
            raise OgaError(OWN_CODE)
        self.default_method = default_method(whole=(run.arrays / "gradients.npy").is_file())
        self._file = None if file is None else Path(file)
        if self._file is not None and not self._file.exists():
            raise OgaError(f"The file of rows {str(file)!r} does not exist. Give a file on this machine.")
        self._service = Service(
            "ask",
            {"run": str(run.path.resolve())},
            readable=_readable(run, self._file),
            memory_gb=_MEMORY_SHARE * machine_memory() / 2**30,
            seconds=_SECONDS,
            start_seconds=_START_SECONDS,
        )

    def start(self) -> None:
        """Let the process read and load before anything is asked."""
        self._service.start()

    def close(self) -> None:
        """End the process."""
        self._service.close()

    def about(self, prompt: str, response: str | None = None, *, method: str | None = None, top: int = 10) -> Answer:
        """Ask which rows pushed for and against `response`; where it is None the model writes it first, greedily."""
        return self._ask({"prompt": prompt, "response": response}, method, top)

    def about_file(self, *, method: str | None = None, top: int = 10) -> Answer:
        """Ask about the rows of the file, all together and each."""
        return self._ask({"file": str(self._file.resolve()) if self._file else ""}, method, top)

    def like(self, rows: Sequence[int], *, method: str | None = None, top: int = 10) -> Answer:
        """Ask which other rows pushed for and against what the rows at these positions of the table say."""
        return self._ask({"rows": [int(row) for row in rows]}, method, top)

    def _ask(self, query: dict[str, Any], method: str | None, top: int) -> Answer:
        method = method or self.default_method
        if method not in METHODS:
            raise unknown("method", method, METHODS)
        if not 1 <= top <= MOST_ROWS:
            raise OgaError(f"The number of rows to list must be 1 to {MOST_ROWS}, got {top}.")
        answers: list[dict[str, Any]] = []
        self._service.ask({**query, "method": method, "top": top}, 1, answers.append)
        answer = answers[0]
        if "error" in answer:
            raise OgaError(str(answer["error"]))
        return Answer(
            method,
            tuple(answer["queries"]),
            bool(answer["whole"]),
            _pushed(answer["mean"]),
            tuple(map(_pushed, answer["each"])),
        )


_COLUMNS = ("row", "id", "score", "words", "place_by_words", "text")


def _pushed(lists: dict[str, Any]) -> Pushed:
    frames = [pd.DataFrame(lists[side], columns=list(_COLUMNS)) for side in ("for", "against")]
    return Pushed(*frames)


def _records(pushed: Pushed) -> dict[str, Any]:
    return {
        "pushed_for": pushed.pushed_for.to_dict("records"),
        "pushed_against": pushed.pushed_against.to_dict("records"),
    }


def _readable(run: RunFolder, file: Path | None) -> list[Path]:
    info = run.info
    paths = [info.data.path, info.data.options.get("labels"), info.options.get("model_card"), file]
    model = info.model.path
    weights = files_of(Path(model)) if model and Path(model).exists() else []
    return [run.path.resolve(), *(Path(path).resolve() for path in paths if path), *weights]
