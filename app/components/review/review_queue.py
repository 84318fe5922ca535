"""Review by keyboard. The component queues the keys itself, so that none is lost at ten presses a second.

    class Desk:                                       # implements ReviewBackend over ReviewStore
        def upcoming(self, count): ...                # ids of the next undecided samples, the current one first
        def view(self, sample_id): ...                # SampleView
        def apply(self, event): ...                   # durable when it returns; the same event_id twice changes nothing
        def progress(self): ...                       # {"done": 12, "total": 240, "text": "9 a minute"}

    @st.fragment
    def review_view():
        review_queue(Desk(...), key="review", classes=class_names)

`apply` for a decision: `store.decide(Decision(event.sample_id, event.action, event.new_label, reviewer,
note=event.note, edit=event.edit), client_event_id=event.event_id)`; for "undo" and "redo": `store.undo(reviewer,
client_event_id=event.event_id)`, and it returns the ids that were undone or redone, so that an undone sample is shown
again. Raise OgaError to refuse an event: the message is shown and the sample stays.

The rule the protocol keeps: a sample's decision is on disk before the next sample shows. Every press becomes an event
with an id of its own and a sample, is sent at once with all that are not acknowledged yet, and is sent again until it
is, also after the server was killed and after a reload of the page. Keys: k keep, Enter or s take the suggestion,
v write a new value, 1 … 9 and 0 a class, / search a class, e edit (Ctrl+Enter saves, Escape leaves), x swap, r or
Delete remove, u unsure, ← and → look back and forth, z or Ctrl+Z undo, Shift+Z redo, n note (Enter saves it, Escape
leaves it), + and - zoom, c contrast, o saliency, ? help; of a pair of classes f the given one, j the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import streamlit as st

from oga_app.components import assets
from oga_app.components.sample_view import SampleView
from oga_core.errors import OgaError
from oga_core.samples import is_number, require_labels

ReviewAction = Literal["keep", "relabel", "remove", "unsure", "edit", "swap", "undo", "redo"]
DECISIONS: tuple[ReviewAction, ...] = ("keep", "relabel", "remove", "unsure")  # where there are classes
STEPS: tuple[ReviewAction, ...] = ("undo", "redo")
MAX_EVENTS = 2000  # a message of the browser holds at most 500
MAX_NOTE = 4000  # characters: a page of text
MAX_EDIT = 200_000  # characters of all new texts: four times what is sent of a row's responses
MAX_ID = 80  # characters; ours are about 25

_SCRIPT = "review/review_queue.js"
_mount = assets.register(_SCRIPT)


@dataclass(frozen=True)
class ReviewEvent:
    """One press. `sample_id` is empty for undo and redo; `new_label` is a class name for relabel, else None.

    edit: for edit the new texts, each after its place in the row, a JSON Pointer.
    """

    event_id: str
    action: ReviewAction
    sample_id: str = ""
    new_label: str | None = None
    note: str = ""
    edit: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Choices:
    """What a press may ask for: classes of the run, or numbers, and the decisions that can be made."""

    classes: tuple[str, ...]
    actions: tuple[str, ...]
    target: str = "class"


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
    actions: Sequence[str] = DECISIONS,
    pair: tuple[str, str] | None = None,
    target: str = "class",
    ahead: int = 20,
    height: int = 640,
) -> str | None:
    """Show the queue; see the module for the protocol. Must be called inside a fragment to be fast.

    pair: the given and another class, where the queue asks only which of the two it is: by two large keys, f and j.
    target: what a relabel gives, one of the classes, a number, several ("labels"), or one for each word ("tags").

    actions: what can be decided; the buttons and keys of others are not there.
    Returns the id of the sample at which the person last stopped, None before the first stop. Draw what takes time,
    such as evidence, only for that sample: it runs after each press and would hold up the next one.
    """
    memory: dict[str, Any] = st.session_state.setdefault(f"{key}:memory", {"done": {}, "last": [], "again": []})

    def message() -> dict[str, Any]:
        value = (st.session_state.get(key) or {}).get("events")
        return value if isinstance(value, dict) else {}

    def receive() -> None:
        _receive(backend, message().get("events"), memory, Choices(tuple(classes), tuple(actions), target))

    again = memory["again"][:ahead]
    order = again + [sample_id for sample_id in backend.upcoming(ahead) if sample_id not in again]
    known = set(map(str, message().get("have") or ()))
    names = assets.json_bytes(list(map(str, classes)))
    url = assets.media_url(names, "application/json", f"{key}-classes") if len(classes) else None
    result = _mount(
        key=key,
        data={
            "module": assets.module_url(_SCRIPT),
            "acked": memory["last"],
            "errors": {event_id: error for event_id in memory["last"] if (error := memory["done"].get(event_id))},
            "order": order,
            "samples": [backend.view(sample_id).data() for sample_id in order if sample_id not in known],
            "progress": backend.progress(),
            "classes": url,
            "actions": offered(actions, target),
            "pair": list(pair) if pair else None,
            "height": int(height),
            "store": key,
        },
        on_events_change=receive,
        on_resting_change=lambda: None,
    )
    resting = result.get("resting")
    return resting if isinstance(resting, str) else None


def offered(actions: Sequence[str], target: str) -> list[str]:
    """The actions of the queue: what is no class, and no vector that nobody writes by hand, has a field for it."""
    return [*actions, "change"] if target in ("number", "labels", "tags") else list(actions)


def _receive(backend: ReviewBackend, events: Any, memory: dict[str, Any], choices: Choices) -> None:
    """Apply what is new in a message, in order; remember what to acknowledge, and each event's error or None."""
    done: dict[str, str | None] = memory["done"]
    memory["last"] = []
    for raw in events[:MAX_EVENTS] if isinstance(events, list) else ():
        if not isinstance(raw, dict) or not isinstance(raw.get("id"), str) or len(raw["id"]) > MAX_ID:
            continue
        if raw["id"] not in done:
            done[raw["id"]] = _apply(backend, raw, memory, choices)
        memory["last"].append(raw["id"])
    for event_id in list(done)[:-MAX_EVENTS]:
        del done[event_id]


def _apply(backend: ReviewBackend, raw: dict[str, Any], memory: dict[str, Any], choices: Choices) -> str | None:
    """Return why an event was refused; None where it is on disk. What an undo took back is shown again."""
    try:
        event = _event(raw, choices)
        concerned = list(backend.apply(event) or ())
    except OgaError as error:
        return str(error)
    if event.action == "undo":
        memory["again"] = concerned
    else:
        settled = {event.sample_id, *concerned}
        memory["again"] = [sample_id for sample_id in memory["again"] if sample_id not in settled]
    return None


def _event(raw: dict[str, Any], choices: Choices) -> ReviewEvent:
    action = raw.get("action")
    label = raw.get("label")
    if action not in choices.actions and action not in STEPS:
        raise OgaError(f"The review sent the unknown action {action!r}. Reload the page.")
    if action == "relabel":
        _check_label(label, choices)
    return ReviewEvent(
        raw["id"],
        action,
        sample_id="" if action in STEPS else str(raw.get("sample", "")),
        new_label=label if action == "relabel" else None,
        note=str(raw.get("note") or "")[:MAX_NOTE],
        edit=_edit(raw.get("edit")) if action == "edit" else (),
    )


def _check_label(label: Any, choices: Choices) -> None:
    if choices.target in ("labels", "tags"):
        require_labels(str(label), choices.classes)
    elif choices.target == "number":
        if not (isinstance(label, str) and is_number(label)):
            raise OgaError(f"The review sent {label!r}, which is not a number. Write it with a point, such as 3.5.")
    elif label not in choices.classes:
        raise OgaError(f"The review sent the class {label!r}, which the run does not have. Choose one of its classes.")


def _edit(value: Any) -> tuple[tuple[str, str], ...]:
    """The new texts of an edit, as the browser sent them."""
    pairs = value if isinstance(value, list) else []
    edit = tuple((pair[0], pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2)
    if not edit or len(edit) < len(pairs) or not all(isinstance(text, str) for pair in edit for text in pair):
        raise OgaError("The review sent an edit without texts. Reload the page.")
    if sum(len(text) for _, text in edit) > MAX_EDIT:
        raise OgaError(f"The new text is longer than {MAX_EDIT:,} characters. Shorten it, or edit it in the data.")
    return edit
