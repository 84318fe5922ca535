"""Retrain-and-compare in the background: the training itself runs in a worker process, a thread here waits for it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.runs.folder import RunFolder
from oga_core.runs.side_files import read_object

_log = logging.getLogger(__name__)


@dataclass
class Verification:
    """One comparison that is being computed; `error` is a sentence once it has failed."""

    run: Path
    event: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether it is still being computed."""
        return self.thread is not None and self.thread.is_alive()


def start(run: Path, **options: Any) -> Verification:
    """Begin to retrain and compare with the options of `oga_core.retrain.verify`, and return at once."""
    job = Verification(run)
    job.thread = threading.Thread(target=_work, args=(job, options), daemon=True)
    job.thread.start()
    return job


def result(run: Path) -> dict[str, Any] | None:
    """What the last comparison of this run found, None where there was none."""
    advice = "Retrain and compare again."
    content = read_object(run / "verify.json", advice)
    if content is not None and not _is_whole(content):
        raise OgaError(f"{run / 'verify.json'} is damaged. {advice}")
    return content


def _is_whole(content: dict[str, Any]) -> bool:
    """Whether all is there that the page draws."""
    try:
        arms = content["arms"].values()
        numbers = [arm[name] for arm in arms for name in ("n_train", "n_relabelled")]
        judged = ("accuracy", "balanced_accuracy", "gain"), ("loss", "gain")
        numbers += [arm[name]["mean"] for arm in arms for name in judged["accuracy" not in arm]]
        numbers += [bound for arm in arms for bound in (*arm["gain"]["interval_90"], content["seconds"])]
        texts = [arm["gain"]["says"] for arm in arms] + list(content["warnings"])
        for point in content.get("removal", {"shares": []})["shares"]:
            numbers += _numbers_of(point)
    except (KeyError, TypeError, AttributeError):
        return False
    return all(isinstance(value, (int, float)) for value in numbers) and all(isinstance(text, str) for text in texts)


def _numbers_of(point: dict[str, Any]) -> list[float]:
    """What is drawn of one share of a removal curve."""
    parts = [*point["rise"].values(), point["over_random"], point["over_bm25"]]
    bounds = [bound for part in parts for bound in part["interval_90"] or ()]
    return [point["share"], point["n_removed"], *(part["mean"] for part in parts), *bounds]


def _work(job: Verification, options: dict[str, Any]) -> None:
    from oga_core.retrain import verify

    try:
        verify(RunFolder.open(job.run), progress=job.event.update, cancelled=job.cancelled.is_set, **options)
    except OgaError as error:
        job.error = str(error)
    except Exception as error:
        _log.exception("retraining failed")
        job.error = (
            f"Retraining failed, which is a fault in oga: {type(error).__name__}. The server's log has the details."
        )
