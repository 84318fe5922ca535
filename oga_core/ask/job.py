"""The worker's part: it keeps data, gradients and model open, and answers questions as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oga_core.ask.desk import Desk
from oga_core.ask.model import QueryModel
from oga_core.errors import OgaError, UnreadableSample
from oga_core.runs.folder import RunFolder
from oga_core.worker.requests import requests
from oga_core.worker.stages import Progress


def serve(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Answer questions, one answer each, until the parent ends; see `Asker` for both.

    arguments: run, the folder of a scored run of a language model.
    """
    progress({"stage": "reading the data"})
    desk = Desk(RunFolder(Path(arguments["run"])), QueryModel, progress)
    progress({"stage": "answering", "answer": {}})
    for request in requests():
        try:
            progress({"answer": desk.answer(request)})
        except (OgaError, UnreadableSample) as error:  # the next question may be better, and the model is loaded
            progress({"answer": {"error": str(error)}})
    return {}
