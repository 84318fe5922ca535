"""The report of a run as one self-contained HTML file, to hand to a colleague."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from oga_core.errors import OgaError
from oga_core.exports.report_charts import histogram, map_image
from oga_core.exports.report_page import PAGE, STYLE
from oga_core.files import write_whole
from oga_core.numerics import with_span
from oga_core.previews.content import Preview
from oga_core.previews.reader import PreviewReader
from oga_core.review import ReviewStore
from oga_core.review.decisions import ACTIONS, Decision, actions_of
from oga_core.runs.folder import RunFolder
from oga_core.runs.info import RunInfo
from oga_core.runs.scored import ScoredRun
from oga_core.runs.side_files import read_object
from oga_core.threshold.expectation import Expectation, Interval
from oga_core.threshold.ranked import RankedScores

if TYPE_CHECKING:
    from oga_core.review.proposals import Apply

Previews = Callable[[Sequence[int], int], list[Preview]]

_EXAMPLES = 24
_TEXT_SHOWN = 400
_THUMBNAIL = 96


def write_report(
    run: RunFolder,
    path: Path,
    *,
    score: str | None = None,
    trim_fraction: float | None = None,
    apply: Apply = "decisions",
    previews: Previews | None = None,
) -> Path:
    """Write what was scored and how, the threshold, decisions, estimates, classes, examples and charts.

    score: the run's default. trim_fraction: the run's suggestion, else 5 %; 0 flags nothing. apply: of a proposal
    of the machine's, the report says how much it would change and that nobody reviewed it. previews: who reads the
    examples, which is a worker; by default one of its own. Nothing in the file is loaded from elsewhere.
    Raises `OgaError` where the run has no scores.
    """
    if previews is None:
        settings: dict[str, Any] = {"score": score, "trim_fraction": trim_fraction, "apply": apply}
        with closing(PreviewReader(run)) as reader:
            return write_report(run, path, previews=reader.previews, **settings)
    report = _Report(run, score, trim_fraction, previews, apply)
    page = PAGE.format(title=escape(f"OGA report: {run.path.name}"), style=STYLE, body="\n".join(report.sections()))
    write_whole(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))
    return path


@dataclass
class _Report:
    run: RunFolder
    chosen_score: str | None
    chosen_fraction: float | None
    previews: Previews
    apply: Apply = "decisions"

    def sections(self) -> Iterable[str]:
        """The parts of the page in reading order."""
        yield f"<h1>{escape(self.run.path.name)}</h1>"
        yield f"<p class=quiet>Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by oga {escape(self._version)}</p>"
        yield _section("What was scored", _facts(self._scored()))
        yield _section("What is flagged", _facts(self._flagged()), self._histogram(), self._map())
        if self.apply != "decisions":
            yield _section("What the machine proposes, not reviewed", _facts(self._proposed()))
        yield _section("What was decided", _facts(self._decided()))
        yield _section("What to expect", *self._expected())
        yield _section("Classes", self._classes())
        if verified := self._verified():
            yield _section("Retraining", verified)
        yield _section(f"The {_EXAMPLES} most suspicious samples", self._examples())
        if warnings := [*self.info.warnings, *self.info.notes]:
            yield _section("Warnings and notes", _list(warnings))

    @cached_property
    def scored(self) -> ScoredRun:
        return ScoredRun(self.run.path)

    @property
    def info(self) -> RunInfo:
        return self.scored.info

    @property
    def table(self) -> pd.DataFrame:
        return self.scored.table

    @property
    def score(self) -> str:
        return self.chosen_score or self.scored.default_score

    @property
    def ranked(self) -> RankedScores:
        return self.scored.ranked(self.score)

    @property
    def trim_fraction(self) -> float:
        return self.scored.trim_fraction(self.chosen_fraction)

    @cached_property
    def store(self) -> ReviewStore | None:
        return ReviewStore(self.run.review) if self.run.review.exists() else None

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        known = set(self.table["sample_id"])
        stored = self.store.decisions() if self.store else {}
        return {sample_id: decision for sample_id, decision in stored.items() if sample_id in known}

    @property
    def _version(self) -> str:
        return self.info.versions.get("oga", "")

    def _scored(self) -> dict[str, str]:
        count = len(self.table)
        accuracy = self.info.model_accuracy_on_given_labels
        error = self.info.gradient_check_error
        coverage = self.info.gradient_coverage
        return {
            "Data": Path(self.info.data.path).name,
            "Model": Path(self.info.model.path or self.info.data.path).name,
            "Samples": f"{count:,} ({self.info.modality})",
            "Not readable": f"{len(self.info.problems):,}",
            "Classes": f"{len(self.info.classes):,}",
            "Given labels that the model predicts": "" if accuracy is None else f"{accuracy:.1%}",
            "Share of the parameters covered": "not known" if coverage is None else f"{coverage:.0%}",
            "Error of the gradients in the self-check": "not known" if error is None else f"{error:.1e}",
            "Seed": str(self.info.options.get("seed", 0)),
            "Fingerprint": self.info.fingerprint,
        }

    def _flagged(self) -> dict[str, str]:
        count = self.ranked.count(self.trim_fraction)
        return {
            "Score": self.score,
            "Trim fraction": f"{self.trim_fraction:.1%} ({count:,} samples)",
            "Threshold": f"{self.ranked.threshold(self.trim_fraction):.4g}",
        }

    def _proposed(self) -> dict[str, str]:
        from oga_core.review.proposals import MACHINE, proposal

        flagged = self.ranked.flagged(self.trim_fraction).tolist()
        made = proposal(self.scored, self.apply, flagged)
        act = "left out" if self.apply == "trim" else "relabelled to their suggestions"
        return {
            "Proposal": f"{len(made):,} of {len(flagged):,} flagged samples {act}",
            "Status": f"{MACHINE}; {len(made.keys() & self.decisions.keys()):,} of them were also decided by a person",
        }

    def _decided(self) -> dict[str, str]:
        counts = dict.fromkeys(ACTIONS, 0)
        for decision in self.decisions.values():
            counts[decision.action] += 1
        facts = {"Reviewed": f"{len(self.decisions):,} of {len(self.table):,}"}
        allowed = actions_of(self.scored.classes, self.scored.modality, self.scored.target)
        facts |= {name.capitalize(): f"{count:,}" for name, count in counts.items() if count or name in allowed}
        if self.store:
            facts["Reviewers"] = ", ".join(f"{name} ({count:,})" for name, count in self.store.reviewers().items())
            agreement = self.store.agreement()
            facts["Agreement (Krippendorff's alpha)"] = "" if agreement is None else f"{agreement:.2f}"
        return facts

    def _expected(self) -> Iterable[str]:
        position = {sample_id: i for i, sample_id in enumerate(self.table["sample_id"])}
        judged = [decision for decision in self.decisions.values() if decision.is_verdict]
        rows = np.array([position[decision.sample_id] for decision in judged], dtype=np.int64)
        bad = np.array([decision.is_bad for decision in judged], dtype=bool)
        if self.scored.noise_rate is None and not judged:
            yield "<p>How many are wrong is not known: no rate was estimated for this data, and nothing reviewed.</p>"
            return
        expectation = Expectation(self.ranked, rows, bad, **self.scored.beliefs)
        outlook = expectation.at(self.trim_fraction)
        yield _facts(
            {
                "Precision above the threshold": _share(outlook.precision) if outlook.flagged else "",
                "Wrong labels below the threshold": _number(outlook.missed),
                "Wrong labels in all": _number(outlook.bad),
                "Share of the wrong that is flagged": _share(outlook.recall) if outlook.flagged else "",
            }
        )
        yield f"<p>{escape(expectation.progress().sentence())} Ranges are 90 % intervals.</p>"

    def _classes(self) -> str:
        flagged = np.zeros(len(self.table), dtype=bool)
        flagged[self.ranked.flagged(self.trim_fraction)] = True
        given = self.table["given_label"].to_numpy(dtype=str)
        ids = self.table["sample_id"].to_numpy(dtype=object)
        bad = np.array([i in self.decisions and self.decisions[i].is_bad for i in ids], dtype=bool)
        seen = np.array([i in self.decisions for i in ids], dtype=bool)
        rows: list[tuple[str, int, int, int, int]] = []
        for name in self.info.classes or ("",):
            members = given == name if name else np.ones(len(given), dtype=bool)
            counts = [int((mask & members).sum()) for mask in (members, flagged, seen, bad)]
            rows.append((name, counts[0], counts[1], counts[2], counts[3]))
        rows.sort(key=lambda row: -row[2] / max(row[1], 1))
        head = ("Given label", "Samples", "Flagged", "Flagged share", "Reviewed", "Found bad")
        cells = [(n, f"{a:,}", f"{f:,}", f"{f / max(a, 1):.1%}", f"{s:,}", f"{b:,}") for n, a, f, s, b in rows]
        return _table(head, cells)

    def _histogram(self) -> str:
        return histogram(self.ranked.values, self.ranked.threshold(self.trim_fraction), self.score)

    def _map(self) -> str:
        positions = self.table[["map_x", "map_y"]].to_numpy(dtype=np.float64)
        if not np.isfinite(positions).all():
            return ""
        return map_image(positions, self.ranked.flagged(self.trim_fraction))

    def _verified(self) -> str:
        try:
            verified = read_object(self.run.path / "verify.json", "")
        except OgaError:
            return "<p>The result of the retraining is damaged. Retrain again to see it here.</p>"
        return "" if verified is None else f"<p>{escape(str(verified.get('verdict', '')))}</p>"

    def _examples(self) -> str:
        rows = self.ranked.order[:_EXAMPLES].tolist()
        shown = zip(rows, self.previews(rows, _THUMBNAIL), strict=True)
        return f"<div class=examples>{''.join(self._example(row, content) for row, content in shown)}</div>"

    def _example(self, i: int, content: Preview) -> str:
        row = self.table.iloc[i]
        decision = self.decisions.get(row["sample_id"])
        lines = [
            f"<b>{escape(str(row['given_label']))}</b> → {escape(str(row['predicted_label']))}",
            f"<span class=quiet>{escape(str(row['sample_id']))}</span>",
            f"<span class=decision>{escape(decision.verdict)}</span>" if decision else "",
        ]
        return f"<figure>{_shown(content)}<figcaption>{'<br>'.join(filter(None, lines))}</figcaption></figure>"


def _shown(content: Preview) -> str:
    if content.image:
        return f'<img alt="" src="{escape(content.image)}">'
    lines = [content.unreadable, content.text, content.text_pair]
    lines += [f"{name}: {value}" for name, value in (*content.fields, *content.messages)]
    text = "\n".join(filter(None, lines))
    return f'<p class=text dir="auto">{escape(text[:_TEXT_SHOWN])}{"…" if len(text) > _TEXT_SHOWN else ""}</p>'


def _share(interval: Interval) -> str:
    return with_span(interval.estimate, interval.low, interval.high, "{:.0%}".format)


def _number(interval: Interval) -> str:
    return with_span(interval.estimate, interval.low, interval.high)


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _facts(facts: dict[str, str]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return f"<dl>{rows}</dl>"


def _list(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table><thead>{line(head, 'th')}</thead><tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"
