"""What the pages show of a sample, and the queue of samples to review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_app import cache
from oga_app.background import explaining
from oga_app.components.grid.sample_grid import GridAction
from oga_app.components.review.review_queue import ReviewEvent
from oga_app.components.sample_view import SampleView
from oga_app.elements import heat
from oga_app.elements.messages import counted, percent
from oga_app.elements.targets import tagged, values
from oga_app.elements.thumbnails import thumbnails
from oga_core.errors import OgaError
from oga_core.previews.content import Preview
from oga_core.review.board import DecisionBoard
from oga_core.review.decisions import MERGED, UNSEEN, Decision
from oga_core.review.filters import Filters
from oga_core.review.proposals import Verb, decide_alike
from oga_core.runs.scored import ScoredRun
from oga_core.samples import require_tags

LARGE = 640
SMALL = 160
CARD = 200


def sample_view(
    data: ScoredRun, board: DecisionBoard, row: int, *, score: str, flagged: int, side: int = SMALL
) -> SampleView:
    """One sample for the browser, with all that is known of it."""
    return _view(data, board, row, thumbnails(data, [row], side)[0], score=score, flagged=flagged, full=True)


def _view(
    data: ScoredRun, board: DecisionBoard, row: int, shown: Preview, *, score: str, flagged: int, full: bool
) -> SampleView:
    """One sample; without `full` only what a tile needs."""
    decision = board.decisions.get(str(data.ids[row]))
    wrong = wrong_probability(board, row)
    content = {name: value for name, value in vars(shown).items() if name != "words"}
    if shown.image and not full:
        content["fields"] = ()  # a tile is the picture
    labels: dict[str, Any] = {"given": data.given_text(row), "predicted": data.proposal(row)}
    if data.target == "mask" and not full:
        content |= {"layers": shown.layers[:1], "legend": ()}
        labels["predicted"] = data.text("suggested_label", row) or None
    if data.target == "tags":  # too long for a tile
        labels = tagged.shown(data, row, shown.words) if full else {}
    return SampleView(
        str(data.ids[row]),
        **{**content, "responses": shown.responses if full else ()},
        **labels,
        **(explaining.shown(data, row, shown.text) if full else {}),
        **(heat.shown(data, row, shown.messages) if full and shown.messages else {}),
        scale=values.scale(data, row) if full else None,
        probabilities=cache.evidence(data).probabilities(row, wrong) if full else (),
        wrong=wrong,
        values=tuple(cache.evidence(data).values(row)) if full and shown.fields and data.classes else (),
        percentile=data.percentile(score, row),
        flagged=bool(data.rank(score)[row] < flagged),
        finding=data.text("finding", row) if full else "",
        why=why(data, row, score) if full else "",
        decision=decision.action if decision else None,
        new_label=decision.new_label if decision else None,
        edit=decision.edit if decision and full else (),
        note=decision.note if decision and full else "",
    )


def wrong_probability(board: DecisionBoard, row: int) -> float | None:
    """How likely a label is wrong; None where that is not known."""
    chances = board.wrong_probability()
    return None if chances is None else float(chances[row])


def tiles(data: ScoredRun, board: DecisionBoard, rows: Sequence[int], *, score: str, flagged: int) -> list[SampleView]:
    """The samples at `rows` as tiles of a grid, all read together."""
    shown = zip(map(int, rows), thumbnails(data, rows, SMALL), strict=True)
    return [_view(data, board, row, preview, score=score, flagged=flagged, full=False) for row, preview in shown]


def why(data: ScoredRun, row: int, score: str) -> str:
    """One plain sentence: the run's own reason, else what the numbers say."""
    if reason := data.text("reason", row):
        return reason
    given = int(data.given[row])
    predicted = int(data.predicted[row])
    place = f"more suspicious than {percent(data.percentile(score, row) / 100)} of all by {score.replace('_', ' ')}"
    if data.target == "number":
        return f"It is {data.given_text(row)}, the model says {data.text('predicted_label', row)}; it is {place}."
    if given < 0 or predicted < 0:
        return f"Its gradient is {place}."
    chance = data.given_probability[row]
    if predicted == given:
        return f"The model agrees with its label ({percent(chance, 0)}); it is {place}."
    return (
        f"The model gives its label '{data.class_name(given)}' a probability of {percent(chance, 0)} "
        f"and predicts '{data.class_name(predicted)}'; it is {place}."
    )


def pull(data: ScoredRun, row: int) -> str:
    """What one training step on the sample would do: the gradient of its loss at the logits is p - y."""
    given = int(data.given[row])
    predicted = int(data.predicted[row])
    chance = data.given_probability[row]
    if given < 0 or not np.isfinite(chance):
        return ""
    strength = percent(1 - chance, 0)
    words = f"Training on it pulls the model towards '{data.class_name(given)}' at {strength} of full strength"
    if predicted not in (given, -1):
        words += f", away from '{data.class_name(predicted)}' above all"
    return words + "."


def bulk(
    data: ScoredRun, board: DecisionBoard, action: GridAction, reviewer: str, listed: NDArray[np.int64]
) -> Done | None:
    """Write a bulk decision as one step; None where there was nothing to decide. `listed`: rows that "every" means."""
    marked = data.ids.rows(action.sample_ids)
    rows = listed if action.every else marked
    more = {"label": action.new_label, "event_id": action.event_id}
    return decide_many(data, board, rows, action.action, reviewer=reviewer, seen=marked, **more)


@dataclass(frozen=True)
class Done:
    """One step on many samples: its number in the log, on how many, and how many had no suggestion to take."""

    step: int
    decided: int
    passed_over: int

    def sentence(self) -> str:
        """What was done, in words."""
        left = f" {counted(self.passed_over, 'has', 'have')} no suggestion and stay as they were." * bool(
            self.passed_over
        )
        return f"{counted(self.decided, 'sample', 'samples')} decided in one step.{left}"


def decide_many(
    data: ScoredRun,
    board: DecisionBoard,
    rows: NDArray[np.int64],
    verb: Verb,
    *,
    reviewer: str,
    seen: Sequence[int] | NDArray[np.int64] = (),
    label: str | None = None,
    event_id: str | None = None,
) -> Done | None:
    """Write the same decision on many samples as one step, which one undo takes back; None where there is none.

    seen: those of `rows` that the person has looked at. On the others the decision is no verdict to learn from.
    """
    looked_at = {str(data.ids[row]) for row in seen}
    alike = decide_alike(data, rows.tolist(), verb, label=label, reviewer=reviewer)
    made = [each if each.sample_id in looked_at else replace(each, note=UNSEEN) for each in alike]
    step = board.store.decide(made, client_event_id=event_id) if made else 0
    return Done(step, len(made), len(rows) - len(made)) if made else None


def merge(data: ScoredRun, board: DecisionBoard, rows: NDArray[np.int64], label: str, *, reviewer: str) -> Done | None:
    """Relabel all of a class as one step, because two classes are one: no verdict on any single label."""
    decisions = decide_alike(data, rows.tolist(), "relabel", label=label, reviewer=reviewer)
    if not decisions:
        return None
    step = board.store.decide([replace(decision, note=MERGED) for decision in decisions])
    return Done(step, len(decisions), 0)


def pair_of(filters: Filters) -> tuple[str, str] | None:
    """The given and the predicted label that a filter asks for, where they are two."""
    if not filters.given or not filters.predicted or filters.given == filters.predicted:
        return None
    return filters.given, filters.predicted


class Desk:
    """The review queue over the store: what comes next, and where decisions go.

    queue: rows in the order of review. Samples that another reviewer holds are left out.
    """

    def __init__(
        self,
        data: ScoredRun,
        board: DecisionBoard,
        queue: NDArray[np.int64],
        *,
        reviewer: str,
        score: str,
        flagged: int,
        overlap: int = 1,
    ):
        self.data = data
        self.board = board
        self.queue = queue
        self.reviewer = reviewer
        self.score = score
        self.flagged = flagged
        self.overlap = overlap

    def upcoming(self, count: int) -> Sequence[str]:
        """Ids of the next samples without a decision, claimed for this reviewer."""
        open_rows = self.queue if self.overlap > 1 else self.queue[self.board.refresh().codes[self.queue] < 0]
        ids = (str(self.data.ids[row]) for row in open_rows)
        claimed = self.board.store.claim(self.reviewer, ids, count, overlap=self.overlap)
        thumbnails(self.data, self.data.ids.rows(claimed).tolist(), LARGE)
        return claimed

    def view(self, sample_id: str) -> SampleView:
        """What the queue shows of a sample; one that is not flagged is named as what it is."""
        row = self.data.ids.row(sample_id)
        shown = sample_view(self.data, self.board, row, score=self.score, flagged=self.flagged, side=LARGE)
        is_control = not shown.flagged and bool(self.flagged)
        return replace(shown, position="random control, not flagged") if is_control else shown

    def apply(self, event: ReviewEvent) -> Sequence[str] | None:
        """Write one press; it is on disk when this returns."""
        store = self.board.store
        if event.action == "undo":
            return store.undo(self.reviewer, client_event_id=event.event_id)
        if event.action == "redo":
            return store.redo(self.reviewer, client_event_id=event.event_id)
        if event.sample_id not in self.data.ids:
            raise OgaError(f"The review sent a sample {event.sample_id!r} that the run does not have. Reload the page.")
        if event.action == "relabel" and self.data.target == "tags":
            given = self.data.given_text(self.data.ids.row(event.sample_id))
            require_tags(event.new_label, self.data.info.label_names, given)
        decision = Decision(
            event.sample_id, event.action, event.new_label, self.reviewer, note=event.note, edit=self._edit(event)
        )
        store.decide(decision, client_event_id=event.event_id)
        return None

    def _edit(self, event: ReviewEvent) -> tuple[tuple[str, str], ...]:
        """The texts that differ from the row's own; raises `OgaError` where there are none, or for another place."""
        if event.action != "edit":
            return ()
        responses = dict(thumbnails(self.data, [self.data.ids.row(event.sample_id)], LARGE)[0].responses)
        if not all(place in responses for place, _ in event.edit):
            raise OgaError(f"The row {event.sample_id!r} holds no such response. Reload the page, and edit it again.")
        changed = tuple((place, text) for place, text in event.edit if text != responses[place])
        if not changed:
            raise OgaError("The text is as it was. Keep the row instead.")
        return changed

    def progress(self) -> dict[str, Any]:
        """How much of the queue is decided, and the pace."""
        done = int((self.board.refresh().codes[self.queue] >= 0).sum())
        pace = self.board.store.pace(self.reviewer)
        left = len(self.queue) - done
        text = f"{pace:.1f} s each, about {max(1, round(pace * left / 60)):,} min left" if pace and left else ""
        return {"done": done, "total": len(self.queue), "text": text}
