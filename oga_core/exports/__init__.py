"""Take the result home: one function per format, found by name in `EXPORTS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oga_core.errors import OgaError, unknown
from oga_core.exports import table
from oga_core.exports.decided import Decided
from oga_core.exports.fixed import write_fixed
from oga_core.exports.report import write_report
from oga_core.exports.tools import write_fiftyone, write_huggingface, write_label_studio
from oga_core.files import write_whole
from oga_core.runs.folder import RunFolder

__all__ = ["EXPORTS", "Export", "export"]


@dataclass(frozen=True)
class Export:
    """One format: what it is for, and the function that writes it to a path and returns where it is."""

    description: str
    write: Callable[[Decided, Path, bool], Path]


def _file(suffix: str, write: Callable[[Decided, Path, bool], None]) -> Callable[[Decided, Path, bool], Path]:
    def write_file(decided: Decided, out: Path, spreadsheet_safe: bool) -> Path:
        target = out if out.suffix else out.with_name(out.name + suffix)
        write_whole(target, lambda path: write(decided, path, spreadsheet_safe))
        return target

    return write_file


EXPORTS: dict[str, Export] = {
    "csv": Export("All columns, scores and decisions as CSV.", _file(".csv", table.write_csv)),
    "parquet": Export("All columns, scores and decisions as Parquet.", _file(".parquet", table.write_parquet)),
    "jsonl": Export("All columns, scores and decisions as JSON lines.", _file(".jsonl", table.write_jsonl)),
    "fixed": Export(
        "The data set in the format it came in, with the new labels and without what was removed.",
        lambda decided, out, _: write_fixed(decided, out),
    ),
    "huggingface": Export(
        "A folder for datasets.load_dataset, with the decided labels.",
        lambda decided, out, _: write_huggingface(decided, out),
    ),
    "label-studio": Export(
        "Tasks with predictions and decisions for Label Studio, with its labeling config.",
        lambda decided, out, _: write_label_studio(decided, out),
    ),
    "fiftyone": Export(
        "Images and labels for FiftyOne (image classification dataset).",
        lambda decided, out, _: write_fiftyone(decided, out),
    ),
    "report": Export(
        "What was scored, how, decisions, estimates and examples as one HTML file.",
        lambda decided, out, _: write_report(
            decided.run,
            out if out.suffix else out.with_name(out.name + ".html"),
            score=decided.method,
            trim_fraction=decided.trim_fraction,
        ),
    ),
}


def export(
    run: RunFolder,
    format: str,
    out: Path,
    *,
    spreadsheet_safe: bool = False,
    score: str | None = None,
    trim_fraction: float | None = None,
) -> Path:
    """Write a run's result in one of `EXPORTS` and return the path written: `out`, with an ending where it has none.

    score, trim_fraction: which samples count as flagged where nobody decided; the run's own by default.
    Raises `OgaError` for an unknown format, a run without scores, or a place that cannot be written.
    """
    if format not in EXPORTS:
        raise unknown("export format", format, EXPORTS)
    if not out.parent.is_dir():
        raise OgaError(f"There is no folder {str(out.parent)!r} to write to. Make it first.")
    decided = Decided.of(run, score, trim_fraction)
    source = decided.samples.source
    if out.resolve() in {path.resolve() for path in (source.path, source.labels_path) if path is not None}:
        raise OgaError(f"{str(out)!r} is the data that was scored. Give another place, so that it stays as it is.")
    try:
        return EXPORTS[format].write(decided, out, spreadsheet_safe)
    except (PermissionError, IsADirectoryError, FileExistsError) as error:
        raise OgaError(f"{str(out)!r} cannot be written: {error.strerror}. Give another place.") from None
