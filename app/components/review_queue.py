"""Review by keyboard. The component queues the keys itself, so that none is lost at ten presses a second.

    class Desk:                                       # implements ReviewBackend over ReviewStore
        def upcoming(self, count): ...                # ids of the next undecided samples, the current one first
        def view(self, sample_id): ...                # SampleView
        def apply(self, event): ...                   # durable when it returns; the same event_id twice changes nothing
        def progress(self): ...                       # {"done": 12, "total": 240, "text": "9 a minute"}

    @st.fragment
    def review_view():
        review_queue(Desk(...), key="review", classes=class_names)

`apply` for a decision: `store.decide(Decision(event.sample_id, event.action, event.new_label, reviewer, note=event.note),
client_event_id=event.event_id)`; for "undo" and "redo": `store.undo(reviewer, client_event_id=event.event_id)`, and it
returns the ids that were undone or redone, so that an undone sample is shown again. Raise OgaError to refuse an event: the
message is shown and the sample stays.

The rule the protocol keeps: a sample's decision is on disk before the next sample shows. Every press becomes an event with
an id of its own (client id and number) and a sample, is sent at once with all that are not acknowledged yet, and is sent
again until it is, also after the server was killed and after a reload of the page. Keys: k keep, Enter or s take the
suggestion, 1 … 9 a class, / search a class, r or Delete remove, u unsure, ← and → look back and forth, z or Ctrl+Z undo,
Shift+Z redo, n note, o overlay, ? help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import streamlit as st

from oga_app.components import assets
from oga_app.components.sample_view import SampleView
from oga_core.errors import OgaError

ReviewAction = Literal["keep", "relabel", "remove", "unsure", "undo", "redo"]
ACTIONS: tuple[ReviewAction, ...] = ("keep", "relabel", "remove", "unsure", "undo", "redo")
MAX_EVENTS = 2000
MAX_NOTE = 4000

_mount = assets.register("review_queue")


@dataclass(frozen=True)
class ReviewEvent:
    """One press. `sample_id` is empty for undo and redo; `new_label` is a class name for relabel, else None."""

    event_id: str
    action: ReviewAction
    sample_id: str = ""
    new_label: str | None = None
    note: str = ""


class ReviewBackend(Protocol):
    """What the queue needs: samples to show and a place where decisions are durable."""

    def upcoming(self, count: int) -> Sequence[str]:
        """Return ids of up to `count` samples without a decision, the one to show first."""

    def view(self, sample_id: str) -> SampleView:
        """Return what to show of a sample."""

    def apply(self, event: ReviewEvent) -> Sequence[str] | None:
        """Write an event durably, once for each event id; for undo and redo return the ids concerned."""

    def progress(self) -> dict[str, Any]:
        """Return `done` and `total` and, where wanted, a `text`, all small."""


def review_queue(
    backend: ReviewBackend,
    *,
    key: str,
    classes: Sequence[str] = (),
    ahead: int = 20,
    height: int = 640,
) -> None:
    """Show the queue; see the module for the protocol. Must be called inside a fragment to be fast."""
    memory: dict[str, Any] = st.session_state.setdefault(f"{key}:memory", {"acked": {}, "errors": {}, "again": []})

    def received() -> None:
        sent = (st.session_state.get(key) or {}).get("events")
        if isinstance(sent, dict):
            _receive(backend, sent, memory, classes)

    sent = (st.session_state.get(key) or {}).get("events")
    sent = sent if isinstance(sent, dict) else {}
    order = list(backend.upcoming(ahead))
    again = [sample_id for sample_id in memory["again"] if sample_id in order]
    order = again + [sample_id for sample_id in order if sample_id not in again]
    known = set(map(str, sent.get("have", ())))
    wanted = [sample_id for sample_id in order if sample_id not in known]
    names, url = tuple(map(str, classes)), None
    if names:
        url = assets.media_url(assets.json_bytes(names), "application/json", f"{key}-classes")
    _mount(
        key=key,
        data={
            "module": assets.module_url("review_queue"),
            "acked": memory["acked"],
            "errors": memory["errors"],
            "order": order,
            "samples": [backend.view(sample_id).data() for sample_id in wanted],
            "progress": backend.progress(),
            "classes": url,
            "height": int(height),
            "store": key,
        },
        on_events_change=received,
    )


def _receive(backend: ReviewBackend, sent: dict[str, Any], memory: dict[str, Any], classes: Sequence[str]) -> None:
    """Apply what is new in a message, in order, and remember what to acknowledge."""
    client, events = str(sent.get("client", ""))[:64], sent.get("events")
    if not client or not isinstance(events, list):
        return
    last = memory["acked"].get(client, 0)
    errors: dict[str, str] = {}
    for raw in events[:MAX_EVENTS]:
        number = raw.get("number") if isinstance(raw, dict) else None
        if not isinstance(number, int) or number <= last:
            continue
        try:
            touched = backend.apply(_event(raw, f"{client}:{number}", classes))
            memory["again"] = list(touched or ()) if raw["action"] in ("undo", "redo") else []
        except OgaError as error:
            errors[str(number)] = str(error)
        last = number
        memory["acked"] = {client: last}
    memory["errors"] = errors


def _event(raw: dict[str, Any], event_id: str, classes: Sequence[str]) -> ReviewEvent:
    action, label = raw.get("action"), raw.get("label")
    if action not in ACTIONS:
        raise OgaError(f"The review sent the unknown action {action!r}. Reload the page.")
    if action == "relabel" and label not in classes:
        raise OgaError(f"The review sent the class {label!r}, which the run does not have. Choose one of its classes.")
    sample_id = "" if action in ("undo", "redo") else str(raw.get("sample", ""))
    note = str(raw.get("note") or "")[:MAX_NOTE]
    return ReviewEvent(event_id, action, sample_id, label if action == "relabel" else None, note)
