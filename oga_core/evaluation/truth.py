"""How well the scores of a run find mislabelled samples, against known true labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.targets import labels_in
from oga_core.runs.folder import SCORE_PREFIX, RunFolder, score_names
from oga_core.samples import is_number, labels_text, number_text

TRUE_LABEL = "true_label"
MOST_MISSING = 0.05


def evaluate(run: RunFolder, truth_csv: Path, id_column: str | None = None) -> dict[str, Any]:
    """Judge every score of a run against `truth_csv`, a CSV with an id column and `true_label`.

    Returns `n` samples compared, `missing` true labels whose sample the run has not, `noise_rate`,
    `noise_rate_by_class` of the given classes, and `scores`: for each its `auroc`, `ap` (average precision), precision
    `p_at_…` and recall `r_at_…` among the most suspicious 5 %, 10 % and noise rate (`p_at_noise`, where both are
    equal). All in 0 to 1, None where there is no wrong or no right label. The first column is the id unless
    `id_column` names it. Raises `OgaError` where columns, ids or labels do not fit.
    """
    table = run.table
    truth = _as_written_here(read_truth(truth_csv, id_column), run)
    matched, n_missing = _matched(table, truth, truth_csv)
    labels = matched["given_label"].astype(str)
    wrong = (labels != matched[TRUE_LABEL]).to_numpy()
    return {
        "n": len(matched),
        "missing": n_missing,
        "noise_rate": float(wrong.mean()),
        "noise_rate_by_class": {
            str(label): float(group.mean())
            for label, group in pd.Series(wrong).groupby(labels.to_numpy())
            if run.info.target == "class"
        },
        "scores": {
            name: detection(wrong, matched[SCORE_PREFIX + name].to_numpy(float))
            for name in score_names(map(str, table.columns))
        },
    }


def truly_wrong(run: RunFolder, truth_csv: Path | None, id_column: str | None = None) -> list[int]:
    """Positions of the samples whose given label is not the true one; `truth_csv` and errors as in `evaluate`.

    None where no truth is known.
    """
    if truth_csv is None:
        return []
    table = run.table.reset_index(drop=True)
    truth = _as_written_here(read_truth(truth_csv, id_column), run)
    matched, _ = _matched(table, truth, truth_csv)
    wrong = matched["given_label"].astype(str) != matched[TRUE_LABEL]
    return [int(row) for row in matched.index[wrong]]


def read_truth(path: Path, id_column: str | None = None) -> pd.Series[str]:
    """Return the true labels by id, as written: `001` and `NA` stay as they are."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise OgaError(f"There is no file {path}. Give a CSV with an id column and a column {TRUE_LABEL!r}.") from None
    except (ValueError, OSError) as error:
        raise OgaError(
            f"{path} cannot be read as CSV: {error}. Give a CSV with an id column and {TRUE_LABEL!r}."
        ) from None
    columns = list(table.columns)
    key = columns[0] if id_column is None else id_column
    for column in (key, TRUE_LABEL):
        if column not in columns:
            raise OgaError(
                f"{path.name} has no column {column!r}; it has {', '.join(map(repr, columns))}. "
                f"It needs an id column (choose it with --id-column) and a column {TRUE_LABEL!r}."
            )
    if key == TRUE_LABEL:
        raise OgaError(f"The first column of {path.name} is {TRUE_LABEL!r}. Choose the id column with --id-column.")
    repeated = table[key][table[key].duplicated()]
    if len(repeated):
        raise OgaError(f"{path.name} has the id {repeated.iloc[0]!r} more than once. Keep one row per sample.")
    if not len(table):
        raise OgaError(f"{path.name} has no rows. Give one row per sample.")
    return table.set_index(key)[TRUE_LABEL]


def _as_written_here(truth: pd.Series[str], run: RunFolder) -> pd.Series[str]:
    """True numbers and lists of labels as the run's table writes them, so that equal ones are the same text."""
    if run.info.target == "mask":
        raise OgaError(
            "The labels of this run are masks, which no table of true labels can hold. Compare its scores, in the "
            "columns score_… of oga_core.open_run(…).table, with the masks that you know to be wrong."
        )
    if run.info.target == "number":
        return truth.map(lambda text: number_text(float(text)) if is_number(text) else text)
    if run.info.target == "tags":
        return truth.map(lambda text: labels_text(labels_in(text)))
    if run.info.target == "labels":
        names = run.info.label_names
        return truth.map(lambda text: labels_text(name for name in names if name in labels_in(text)))
    return truth


def _matched(table: pd.DataFrame, truth: pd.Series[str], path: Path) -> tuple[pd.DataFrame, int]:
    """Join the run's table with the true labels; return it and how many true labels found no sample."""
    if table["given_label"].isna().all():
        raise OgaError("This run's data has no labels, so there is nothing that true labels could be compared with.")
    ids = table["sample_id"].astype(str)
    known = ids.isin(truth.index).to_numpy()
    n_missing = len(truth) - int(known.sum())
    if n_missing > MOST_MISSING * len(truth):
        stranger = truth.index[~truth.index.isin(ids)][0]
        raise OgaError(
            f"{n_missing:,} of the {len(truth):,} ids in {path.name} are not in the run ({len(ids):,} samples), "
            f"for example {stranger!r}; the run's ids look like {ids.iloc[0]!r}. "
            "Give the truth of the data that was scored, or choose its id column with --id-column."
        )
    matched = table[known].assign(**{TRUE_LABEL: truth.loc[ids[known]].to_numpy()})
    labels = set(matched["given_label"].astype(str))
    if not labels & set(matched[TRUE_LABEL]):
        raise OgaError(
            f"No true label in {path.name} is one of the given labels: {_some(set(matched[TRUE_LABEL]))} against "
            f"{_some(labels)}. Write both with the same names."
        )
    return matched, n_missing


def _some(names: set[str]) -> str:
    shown = ", ".join(repr(name) for name in sorted(names)[:5])
    return f"{shown}, …" if len(names) > 5 else shown


def detection(wrong: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, float | None]:
    """Detection metrics of one score, higher = more suspicious, against which samples are wrong; ties in data order."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not np.isfinite(scores).all():
        raise OgaError("A score has values that are not finite. Score the data again.")
    order = np.argsort(-scores, kind="stable")
    noise_rate = float(wrong.mean())
    n_wrong = int(wrong.sum())
    both = 0 < n_wrong < len(wrong)
    flags = {
        name: wrong[order[: max(1, round(share * len(scores)))]]
        for name, share in {"5pct": 0.05, "10pct": 0.10, "noise": noise_rate}.items()
    }
    return {
        "auroc": float(roc_auc_score(wrong, scores)) if both else None,
        "ap": float(average_precision_score(wrong, scores)) if both else None,
        **{f"p_at_{name}": float(top.mean()) for name, top in flags.items()},
        **{f"r_at_{name}": float(top.sum() / n_wrong) if n_wrong else None for name, top in flags.items()},
    }
