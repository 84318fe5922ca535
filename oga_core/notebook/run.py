"""A scored run as a person asks it: its table, what is flagged, what to expect, decisions, exports, proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from oga_core.errors import OgaError, unknown
from oga_core.notebook.dashboard import Dashboard, open_dashboard
from oga_core.readers.answers.responses import responses
from oga_core.review.decisions import Action, Decision, actions_of
from oga_core.review.store import ReviewStore, standing_decisions
from oga_core.runs.counts import class_shares
from oga_core.runs.info import RunInfo
from oga_core.runs.scored import ScoredRun
from oga_core.samples import SampleSet, require_tags
from oga_core.threshold.expectation import Expectation, Outlook

if TYPE_CHECKING:
    from oga_core.ask.asker import Answer, Asker

_CLASSES_SHOWN = 3  # of the worst ones, in the run's own description


class Run:
    """A scored run in its folder; raises `OgaError` where the folder holds none.

    path: the folder. Everything is read from there, so that what others decide in the meantime shows.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.scored = ScoredRun(self.path)
        self._asker: Asker | None = None

    def __len__(self) -> int:
        return len(self.scored)

    @property
    def info(self) -> RunInfo:
        """What was scored and how, as in run.json."""
        return self.scored.info

    @property
    def table(self) -> pd.DataFrame:
        """One row a sample, in the data's order: id, labels, score_*, finding, suggested_label, map_x, map_y."""
        return self.scored.table

    @property
    def scores(self) -> list[str]:
        """Names of the scores, the default first."""
        return self.scored.scores

    @property
    def samples(self) -> SampleSet:
        """The samples themselves; inputs are decoded when they are asked for."""
        return self.scored.run.samples

    def flagged(self, trim_fraction: float | None = None, *, score: str | None = None) -> pd.DataFrame:
        """Return the rows of the table that are flagged, the most suspicious first.

        trim_fraction: share of the samples, 0 to 1; by default the run's suggestion. score: by default the run's.
        """
        ranked = self.scored.ranked(score or self.scored.default_score)
        return self.table.iloc[ranked.flagged(self.scored.trim_fraction(trim_fraction))]

    def expect(self, trim_fraction: float | None = None, *, score: str | None = None) -> Outlook:
        """Return what to expect of the flagged, learnt from the decisions so far, with 90 % intervals."""
        decisions = {key: made for key, made in standing_decisions(self.scored.run.review).items() if made.is_verdict}
        rows = self.scored.ids.rows(decisions)
        bad = np.array([made.is_bad for made in decisions.values()], dtype=bool)
        known = rows >= 0
        ranked = self.scored.ranked(score or self.scored.default_score)
        expectation = Expectation(ranked, rows[known], bad[known], **self.scored.beliefs)
        return expectation.at(self.scored.trim_fraction(trim_fraction))

    def decide(
        self,
        sample_ids: str | Sequence[str],
        action: Action | None = None,
        *,
        relabel: str | None = None,
        edit: str | Mapping[str, str] | None = None,
        note: str = "",
        reviewer: str = "me",
    ) -> int:
        """Write one decision on one sample or several, as the dashboard does; return the number of the step.

        action: keep, remove or unsure; or relabel="class", or relabel="3.5" where the model predicts numbers; or, for
        language models, edit="the right response", which replaces the last response of the row, or
        edit={"/messages/1/content": "…"} for chosen ones; or, for preference pairs, swap. On disk before the call
        returns.
        """
        ids = [sample_ids] if isinstance(sample_ids, str) else list(map(str, sample_ids))
        rows = self._rows(ids)
        verdict = self._action(action, relabel, edit)
        if relabel is not None and self.scored.target == "tags":
            for row in rows:
                require_tags(relabel, self.scored.info.label_names, self.scored.given_text(row))
        edits = [() if edit is None else self._edit(sample_id, edit) for sample_id in ids]
        made = [
            Decision(key, verdict, relabel, reviewer, note=note, edit=pairs)
            for key, pairs in zip(ids, edits, strict=True)
        ]
        with closing(self._store()) as store:
            return store.decide(made)

    def _rows(self, ids: Sequence[str]) -> list[int]:
        """Where the samples stand; raises `OgaError` for an id that the run does not have."""
        rows = self.scored.ids.rows(ids).tolist()
        if strange := [sample_id for sample_id, row in zip(ids, rows, strict=True) if row < 0]:
            raise OgaError(f"The run has no sample {strange[0]!r}. The ids are in table['sample_id'].")
        return rows

    def _action(self, action: Action | None, relabel: str | None, edit: object) -> Action:
        """The action that the arguments of `decide` ask for; raises `OgaError` where the run has no such action."""
        wanted: list[Action] = [] if action is None or action in ("relabel", "edit") else [action]
        wanted += ["relabel"] if relabel is not None else []
        wanted += ["edit"] if edit is not None else []
        allowed = actions_of(self.scored.classes, self.scored.modality, self.scored.target)
        if len(wanted) != 1:
            raise OgaError(f"Give one of the actions {', '.join(allowed)}; relabel and edit as relabel=… and edit=….")
        if wanted[0] not in allowed:
            raise unknown("action", wanted[0], allowed)
        if relabel is not None:
            self.scored.require_label(relabel)
        return wanted[0]

    def _edit(self, sample_id: str, edit: str | Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The changed texts of a row, by their places; raises `OgaError` for a place that holds no response."""
        samples = self.samples
        places = responses(samples.rows[self.scored.ids.row(sample_id)], samples.source.columns.get("text"))
        if not places:
            raise OgaError(f"The row {sample_id!r} holds no response to edit.")
        texts = {list(places)[-1]: edit} if isinstance(edit, str) else dict(edit)
        for place in texts:
            if place not in places:
                raise unknown("place in the row", place, places)
        changed = {place: text for place, text in texts.items() if text != places[place]}
        if not changed:
            raise OgaError(f"The response of {sample_id!r} is already as the edit has it. Keep it instead.")
        return tuple(changed.items())

    def undo(self, reviewer: str = "me") -> list[str]:
        """Take back the reviewer's last step; return the ids it had decided."""
        with closing(self._store()) as store:
            return store.undo(reviewer)

    @property
    def decisions(self) -> pd.DataFrame:
        """What stands for every decided sample: sample_id, action, new_label, reviewer, time, note, edit."""
        columns = list(Decision.__dataclass_fields__)
        return pd.DataFrame(
            [vars(made) for made in standing_decisions(self.scored.run.review).values()], columns=columns
        )

    def export(self, format: str, out: Path | str, **options: Any) -> Path:
        """Write the result in a format of `oga export` and return the path written; see `oga_core.exports.export`."""
        from oga_core.exports import export  # writers and trainers are many, and seldom asked for

        return export(self.scored.run, format, Path(out), **options)

    def to_datalab_issues(self, trim_fraction: float | None = None, *, score: str | None = None) -> pd.DataFrame:
        """Return label issues in the columns of cleanlab's `Datalab.get_issues("label")`, in the data's order.

        is_label_issue: flagged, or as a person decided. label_score: share of the samples that are at least as
        suspicious, above 0 to 1, so that lower is worse. given_label, predicted_label: class names.
        trim_fraction, score: as of `flagged`. Raises `OgaError` for a run without class labels.
        """
        if not self.scored.classes:
            raise OgaError(f"The run {self.scored.name!r} has no class labels. Use table and flagged() instead.")
        ranked = self.scored.ranked(score or self.scored.default_score)
        issues = np.zeros(len(self), dtype=bool)
        issues[ranked.flagged(self.scored.trim_fraction(trim_fraction))] = True
        decisions = standing_decisions(self.scored.run.review)
        for row, made in zip(self.scored.ids.rows(decisions).tolist(), decisions.values(), strict=True):
            if made.is_verdict and row >= 0:
                issues[row] = made.is_bad
        columns = self.table[["given_label", "predicted_label"]].reset_index(drop=True)
        columns.insert(0, "is_label_issue", issues)
        columns.insert(1, "label_score", (ranked.ranks + 1) / len(self))
        return columns

    def verify(self, **options: Any) -> dict[str, Any]:
        """Retrain with and without the flagged samples and compare; see `oga_core.retrain.verify`."""
        from oga_core.retrain import verify

        return verify(self.scored.run, **options)

    def ask(
        self,
        prompt: str | None = None,
        response: str | None = None,
        *,
        rows: Sequence[str] = (),
        method: str | None = None,
        top: int = 10,
    ) -> Answer:
        """Return the training rows that made a language model say `response`, and those that pushed against it.

        Where no response is given, the model writes one first, its likeliest token each time. rows: ids of the run's
        own rows to ask about instead. method: one of `oga_core.ask.methods.METHODS`; by default EK-FAC on whole
        gradients and cosine on sketches. The first question loads the model in a worker, which stays for the next
        ones. Raises `OgaError` for a run of another kind, and for a question that the model cannot be asked.
        """
        from oga_core.ask.asker import Asker  # brings in the readers and the models

        if (prompt is None) == (not rows):
            raise OgaError("Give either a prompt or rows=[…].")
        places = self._rows(rows)
        if self._asker is None:
            self._asker = Asker(self.scored.run)
        if prompt is not None:
            return self._asker.about(prompt, response, method=method, top=top)
        return self._asker.like(places, method=method, top=top)

    def show(self, *, port: int | None = None, height: int = 800) -> Dashboard:
        """Open the run in the dashboard: in a frame where a notebook shows what this returns, else in the browser."""
        return open_dashboard(self.path, port=port, height=height)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {self._sentence()})"

    def _repr_html_(self) -> str:
        from oga_core.exports.report_charts import histogram

        scored = self.scored
        name = scored.default_score
        ranked = scored.ranked(name)
        chart = histogram(ranked.values, ranked.threshold(scored.trim_fraction()), name)
        style = "--mark:#c8431d;--quiet:#8c8982;max-width:40rem"
        return f'<div style="{style}"><b>{escape(scored.name)}</b><p>{escape(self._sentence())}</p>{chart}</div>'

    def _sentence(self) -> str:
        """What was scored, how much is flagged, and which classes are worst."""
        scored = self.scored
        flagged = scored.ranked(scored.default_score).flagged(scored.trim_fraction())
        parts = [f"{len(scored):,} samples ({scored.modality})", f"{len(flagged) / len(scored):.1%} flagged"]
        if scored.noise_rate is not None:
            parts.append(f"about {scored.noise_rate:.1%} of the labels wrong")
        if scored.classes and len(flagged):
            shares = class_shares(scored.given, len(scored.classes), flagged).head(_CLASSES_SHOWN)
            affected = shares[shares["share"] > 0]
            pairs = zip(affected["class"], affected["share"], strict=True)
            worst = [f"{scored.classes[code]} {share:.0f} %" for code, share in pairs]
            parts.append("flagged most: " + ", ".join(worst))
        return ", ".join(parts)

    def _store(self) -> ReviewStore:
        return ReviewStore(self.scored.run.review)
