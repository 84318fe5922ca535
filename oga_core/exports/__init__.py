"""Take the result home: one function per format, found by name in `EXPORTS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oga_core.errors import OgaError, unknown
from oga_core.exports import table
from oga_core.exports.decided import Decided, names_in_data
from oga_core.exports.fixed import write_fixed
from oga_core.exports.report import write_report
from oga_core.exports.tools import write_fiftyone, write_huggingface, write_label_studio
from oga_core.files import remove_leftovers, write_whole
from oga_core.readers import read_samples
from oga_core.review import ReviewStore
from oga_core.review.edits import Edits
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.samples import Source

__all__ = ["EXPORTS", "Export", "decided_run", "export"]

Write = Callable[[RunFolder, Decided, Path, bool], Path]


@dataclass(frozen=True)
class Export:
    """One format: what it is for, and the function that writes it to a path and returns where it is."""

    description: str
    write: Write


def _file(suffix: str, write: Callable[[Decided, Path, bool], None]) -> Write:
    def write_file(_: RunFolder, decided: Decided, out: Path, spreadsheet_safe: bool) -> Path:
        target = out if out.suffix else out.with_name(out.name + suffix)
        write_whole(target, lambda path: write(decided, path, spreadsheet_safe))
        return target

    return write_file


def _folder(write: Callable[[Decided, Path], Path]) -> Write:
    return lambda _, decided, out, __: write(decided, out)


def _report(run: RunFolder, decided: Decided, out: Path, _: bool) -> Path:
    target = out if out.suffix else out.with_name(out.name + ".html")
    return write_report(run, target, score=decided.method, trim_fraction=decided.trim_fraction)


EXPORTS: dict[str, Export] = {
    "csv": Export("All columns, scores and decisions as CSV.", _file(".csv", table.write_csv)),
    "parquet": Export("All columns, scores and decisions as Parquet.", _file(".parquet", table.write_parquet)),
    "jsonl": Export("All columns, scores and decisions as JSON lines.", _file(".jsonl", table.write_jsonl)),
    "fixed": Export(
        "The data set in the format it came in, with the new labels and without what was removed.",
        _folder(write_fixed),
    ),
    "huggingface": Export("A folder for datasets.load_dataset, with the decided labels.", _folder(write_huggingface)),
    "label-studio": Export(
        "Tasks with predictions and decisions for Label Studio, with its labeling config.",
        _folder(write_label_studio),
    ),
    "fiftyone": Export("Images and labels for FiftyOne (image classification dataset).", _folder(write_fiftyone)),
    "report": Export("What was scored, how, decisions, estimates and examples as one HTML file.", _report),
}


def export(
    run: RunFolder,
    format: str,
    out: Path | str,
    *,
    spreadsheet_safe: bool = False,
    score: str | None = None,
    trim_fraction: float | None = None,
) -> Path:
    """Write a run's result in one of `EXPORTS` and return the path written: `out`, with an ending where it has none.

    score, trim_fraction: which samples count as flagged where nobody decided; the run's own by default.
    Raises `OgaError` for an unknown format, a run without scores, or a place that cannot be written.
    """
    out = Path(out)
    if format not in EXPORTS:
        raise unknown("export format", format, EXPORTS)
    if not out.parent.is_dir():
        raise OgaError(f"There is no folder {str(out.parent)!r} to write to. Make it first.")
    remove_leftovers(out.parent, out.name)
    decided = decided_run(run, score, trim_fraction)
    _refuse_source(out, decided.samples.source)
    try:
        return EXPORTS[format].write(run, decided, out, spreadsheet_safe)
    except (PermissionError, IsADirectoryError, FileExistsError) as error:
        raise OgaError(f"{str(out)!r} cannot be written: {error.strerror}. Give another place.") from None


def _refuse_source(out: Path, source: Source) -> None:
    if out.resolve() in {path.resolve() for path in (source.path, source.labels_path) if path is not None}:
        raise OgaError(f"{str(out)!r} is the data that was scored. Give another place, so that it stays as it is.")


def decided_run(run: RunFolder, score: str | None = None, trim_fraction: float | None = None) -> Decided:
    """Read a run's samples, scores and decisions; None stands for the run's own score and suggestion."""
    scored = ScoredRun(run.path)
    if score is not None and score not in scored.scores:
        raise unknown("score", score, scored.scores)
    method = score or scored.default_score
    decisions = ReviewStore(run.review).decisions() if run.review.exists() else {}
    samples = run.samples
    data = scored.info.data
    return Decided(
        samples=samples,
        table=scored.table,
        decisions=decisions,
        edits=Edits.of(decisions, samples, names_in_data(read_samples(data.path, **data.options), samples)),
        method=method,
        ranked=scored.ranked(method),
        trim_fraction=scored.trim_fraction(trim_fraction),
        label_column=data.options.get("label_column"),
    )
