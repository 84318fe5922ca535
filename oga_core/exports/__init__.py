"""Take the result home: one function per format, found by name in `EXPORTS`, which the worker runs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oga_core.errors import OgaError, unknown
from oga_core.exports.target import check_target, move, written_name
from oga_core.files import remove_leftovers, temporary_folder
from oga_core.review.store import standing_decisions
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.samples import MODALITIES
from oga_core.worker.stages import Progress
from oga_core.worker.supervisor import run_job

if TYPE_CHECKING:  # the readers are imported where they read: in the worker
    from oga_core.exports.decided import Decided
    from oga_core.review.decisions import Decision
    from oga_core.review.proposals import Apply

__all__ = ["EXPORTS", "REPORT", "Export", "export"]

REPORT = "report"
"""What was scored, how, decisions, estimates and examples as one HTML file: the one format that holds no data set."""

Write = Callable[["Decided", Path, bool], Path]


@dataclass(frozen=True)
class Export:
    """One format: what it is for, and the function that writes it to a path and returns where it is.

    write: takes what was decided, the path, and whether texts must be safe for spreadsheets. As "module:function" it
    runs in the worker; a function of the caller's own runs where the caller does.
    modalities: what it is offered for; for others the function says why not.
    """

    description: str
    write: str | Write
    modalities: tuple[str, ...] = MODALITIES


LANGUAGE = ("causal_lm", "preference")

EXPORTS: dict[str, Export] = {
    "csv": Export("All columns, scores and decisions as CSV.", "oga_core.exports.table:write_csv"),
    "parquet": Export("All columns, scores and decisions as Parquet.", "oga_core.exports.table:write_parquet"),
    "jsonl": Export("All columns, scores and decisions as JSON lines.", "oga_core.exports.table:write_jsonl"),
    "fixed": Export(
        "The data set in the format it came in, corrected, and without what was removed.",
        "oga_core.exports.fixed:write_fixed",
    ),
    "huggingface": Export(
        "A folder for datasets.load_dataset, corrected, and without what was removed.",
        "oga_core.exports.tools:write_huggingface",
    ),
    "weighted": Export(
        "Rows of a language model with a weight each for the trainer, 0 for what was removed; nothing is left out.",
        "oga_core.exports.language.weights:write_weighted",
        LANGUAGE,
    ),
    "llama-factory": Export(
        "Rows of a language model for LLaMA-Factory, with dataset_info.json.",
        "oga_core.exports.language.trainers:write_llama_factory",
        LANGUAGE,
    ),
    "axolotl": Export(
        "Rows of a language model for Axolotl, with the datasets part of its configuration.",
        "oga_core.exports.language.trainers:write_axolotl",
        LANGUAGE,
    ),
    "label-studio": Export(
        "Tasks with predictions and decisions for Label Studio, with its labeling config.",
        "oga_core.exports.tools:write_label_studio",
        ("image", "text"),
    ),
    "fiftyone": Export(
        "Images and labels for FiftyOne (image classification dataset).",
        "oga_core.exports.tools:write_fiftyone",
        ("image",),
    ),
}


def export(
    run: RunFolder,
    format: str,
    out: Path | str,
    *,
    spreadsheet_safe: bool = False,
    score: str | None = None,
    trim_fraction: float | None = None,
    apply: Apply = "decisions",
    ids: Collection[str] | None = None,
    replace: bool = True,
    progress: Progress = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Write a run's result in one of `EXPORTS`, or as a `REPORT`; return the path written.

    That is `out`, with an ending where it has none. The data are read in the worker, which can write nowhere but into
    a new folder beside `out`.
    score, trim_fraction: which samples count as flagged where nobody decided; the run's own by default. replace:
    whether a file of that name may be overwritten; folders never are. cancelled: asked all the time.
    apply: what people decided, or the machine's proposal for the flagged, not reviewed: "suggestions" for their labels,
    "trim" to leave them out. ids: only what was decided on these samples, and only their rows in tables.
    Raises `OgaError` for an unknown format, a run without scores, or a place that cannot be written.
    """
    if format not in (*EXPORTS, REPORT):
        raise unknown("export format", format, [*EXPORTS, REPORT])
    scored = ScoredRun(run.path)
    if score is not None and score not in scored.scores:
        raise unknown("score", score, scored.scores)
    out = Path(out)
    check_target(out, scored.info, run.path)
    remove_leftovers(out.parent, out.name)
    with temporary_folder(out) as folder:
        arguments = {
            "run": str(run.path.resolve()),
            "format": format,
            "out": str(folder.resolve() / out.name),
            "spreadsheet_safe": spreadsheet_safe,
            "score": score,
            "trim_fraction": trim_fraction,
            "apply": apply,
            "ids": None if ids is None else list(ids),
        }
        try:
            _write(run, scored, arguments, progress, cancelled)
        except OgaError as error:
            # Where the disk is full the worker names the folder that it may write to, which nobody else knows.
            reason = str(error).replace(str(folder.resolve()), str(out.parent))
            raise type(error)(reason, error.detail) from None
        target = out.with_name(written_name(folder, out.name))
        check_target(target, scored.info, run.path)
        move(folder / target.name, target, replace=replace)
    return target


def _write(
    run: RunFolder, scored: ScoredRun, arguments: dict[str, Any], progress: Progress, cancelled: Callable[[], bool]
) -> None:
    if arguments["format"] == REPORT:
        from oga_core.exports.report import write_report

        out = Path(arguments["out"])
        path = out if out.suffix else out.with_name(f"{out.name}.html")
        write_report(run, path, **{name: arguments[name] for name in ("score", "trim_fraction", "apply")})
        return
    arguments = {**arguments, "decisions": [vars(made) for made in _applied(run, scored, arguments).values()]}
    if isinstance(EXPORTS[arguments["format"]].write, str):
        data = scored.info.data
        # The folder, and not its files: while the map is being drawn they are replaced by others of their names.
        files = [run.path, data.path, data.options.get("labels")]
        run_job(
            "export",
            arguments,
            progress=progress,
            cancelled=cancelled,
            readable=[path for path in files if path],
            writable=[Path(arguments["out"]).parent],
            accelerator=False,
        )
    else:
        from oga_core.exports.job import run as write_here

        write_here(arguments, progress)


def _applied(run: RunFolder, scored: ScoredRun, arguments: dict[str, Any]) -> dict[str, Decision]:
    """What people decided, or the machine proposes for what is flagged, by sample id."""
    from oga_core.review.proposals import applied

    ranked = scored.ranked(arguments["score"] or scored.default_score)
    flagged = ranked.flagged(scored.trim_fraction(arguments["trim_fraction"])).tolist()
    ids = arguments["ids"]
    return applied(
        scored, standing_decisions(run.review), arguments["apply"], flagged, None if ids is None else frozenset(ids)
    )
