"""Saliency for the samples that come next, computed in the background before they show."""

from __future__ import annotations

import base64
import io
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oga_core.errors import OgaError
from oga_core.runs.scored import ScoredRun

_log = logging.getLogger(__name__)
_BATCH = 80
_RAISES = (194, 65, 12)
_LOWERS = (0, 114, 178)


@dataclass
class Explainer:
    """Computes saliency for one run, one batch at a time; `reason` says why it cannot, once it has failed."""

    data: ScoredRun
    reason: str = ""
    _asked: set[int] = field(default_factory=set)
    _thread: threading.Thread | None = None

    def ahead(self, rows: Iterable[int]) -> None:
        """Begin to explain the next of `rows` that nobody has asked for, unless that is going on already."""
        if self.data.modality == "causal_lm":  # one backward pass a token: only for rows that are asked for
            return
        if self.data.target in ("tags", "mask"):  # whose words and regions are marked by what is known of each
            return
        if self.reason or (self._thread is not None and self._thread.is_alive()):
            return
        wanted = [int(row) for row in rows if int(row) not in self._asked][:_BATCH]
        if wanted:
            self._asked.update(wanted)
            self._thread = threading.Thread(target=self._work, args=(wanted,), daemon=True)
            self._thread.start()

    def now(self, row: int) -> dict[str, Any] | None:
        """Explain one sample and wait for it; raises `OgaError` where the run's model cannot."""
        from oga_core.saliency.saliency import explain

        return explain(self.data.run, [row]).get(row)

    def _work(self, rows: list[int]) -> None:
        from oga_core.saliency.saliency import explain

        try:
            explain(self.data.run, rows)
        except OgaError as error:
            self.reason = str(error)
        except Exception:
            _log.exception("saliency failed")
            self.reason = "Saliency failed, which is a fault in oga. The server's log has the details."


def shown(data: ScoredRun, row: int, text: str | None) -> dict[str, Any]:
    """The saliency of one sample as fields of a `SampleView`; empty where it is not computed yet."""
    from oga_core.saliency.saliency import stored

    saliency = stored(data.run, row) or {}
    if "pixels" in saliency:
        return {"overlay": overlay(np.asarray(saliency["pixels"], dtype=np.float64))}
    if "spans" in saliency and text:
        return {
            "weights": _weights(saliency["spans"]),
            "pair_weights": _weights(saliency.get("pair_spans", ())),
            "weights_note": _sums(saliency),
        }
    return {}


def _weights(spans: Iterable[tuple[float, float, float]]) -> tuple[tuple[int, int, float], ...]:
    return tuple((int(start), int(end), float(weight)) for start, end, weight in spans)


def _sums(saliency: Mapping[str, Any]) -> str:
    """What the weights of all tokens add up to; empty for one that was computed before sums were kept."""
    if "sum" not in saliency:
        return ""
    total, outside, largest = (float(saliency[name]) for name in ("sum", "outside", "largest"))
    return (
        f"Gradient × input adds up to {total:+.3f} over all tokens, {outside:+.3f} of it in those that the model puts "
        f"around the text. A full shade is {largest:.3f}."
    )


def overlay(weights: np.ndarray) -> str:
    """Draw weights of -1 to 1 as a transparent picture: warm raises the loss on the given label, blue lowers it."""
    from PIL import Image

    picture = np.zeros((*weights.shape, 4), dtype=np.uint8)
    picture[..., :3] = np.where((weights > 0)[..., None], _RAISES, _LOWERS)
    picture[..., 3] = (np.clip(np.abs(weights), 0, 1) * 220).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
