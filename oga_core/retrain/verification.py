"""Retrain without the flagged samples, or with corrected labels, and compare: does it help?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError, unknown
from oga_core.files import write_whole
from oga_core.models import files_of
from oga_core.models.factory import OWN_CODE
from oga_core.retrain.arms import HELD_OUT_SHARE, TRIMMED, Plan, curve_counts, curve_shares
from oga_core.retrain.comparison import compare, curve_of, verdict, warnings
from oga_core.retrain.labels import TRAINABLE, given_labels, label_of, measure, only_whole, suggested_labels
from oga_core.retrain.losses import compare_losses, verdict_on_losses, warnings_on_losses
from oga_core.retrain.removal import removal_verdict
from oga_core.retrain.trials import UnfinishedTrials, without_evidence
from oga_core.review.store import standing_decisions
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.samples import OWN, REDO
from oga_core.worker.supervisor import run_job

DEPTHS = ("head", "all")
LARGEST_TRIM_FRACTION = 0.9
FEWEST_SAMPLES = 20


def verify(
    run: RunFolder,
    *,
    trim_fraction: float | None = None,
    score: str | None = None,
    decisions: bool = True,
    validation: Path | str | None = None,
    seeds: int = 3,
    depth: str | None = None,
    device: str = "auto",
    epochs: int | None = None,
    min_gain: float | None = None,
    truly_wrong: Sequence[int] = (),
    question: Path | str | tuple[str, str | None] | None = None,
    curve: bool = False,
    progress: Callable[[dict[str, Any]], None] = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train again without the flagged samples and with changed labels, judge each training, and say what it gained.

    Arms: nothing changed; the flagged `trim_fraction` (the run's suggestion, else 5 %) by `score` (the run's default)
    trimmed; as many trimmed at random; the flagged relabelled to what is suggested for them; the person's decisions
    carried out. Judged on `validation`, or on a held-out fifth of the data that is never cleaned, drawn anew for each
    of `seeds` trainings. depth: `head` trains a softmax regression on the run's frozen features, `all` the whole
    network; None: the first where there is one. Numbers are judged by their mean absolute error, several labels by
    their mean loss, and so are masks and a loss of one's own, of which the whole network is trained; a mask that
    somebody has yet to draw is left out where decisions are carried out. A language model trains new adapters on its
    base, whatever the depth, and is judged by the loss of held-out responses; nothing is relabelled, and gains are
    falls of the loss.
    truly_wrong: positions, where they are known; trimming them is one more arm. curve: trim, and relabel, shares from
    2.5 % to the noise rate too. min_gain: in accuracy, 0 to 1; `reaches_min_gain` says whether the lower end of the
    flagged trim's interval does. question: of a language model, a file of prompts and responses, or one prompt with its
    response (None: the model's own); `removal` then says how much the loss of these responses rises when the rows that
    pushed most for them are not learnt, against as many random ones and those with most words in common. Arms of a
    comparison that was cut off are not trained again. Returns what is also written to `verify.json` in the run folder.
    Raises `OgaError` for what cannot be compared.
    """
    start = time.perf_counter()
    scored = ScoredRun(run.path)
    info = scored.info
    score = score or scored.default_score
    depth = depth or ("all" if only_whole(info) else "head")
    _check(scored, score, depth, seeds, epochs, validation)
    fraction = _trim_fraction(scored, trim_fraction)
    measured = _measure(scored, depth)
    plan = replace(_plan(scored, score, fraction, decisions), wrong=list(truly_wrong))
    plan = _with_curve(plan, scored, score, fraction, depth, asked=curve)
    arguments = {
        "run": str(run.path.resolve()),
        "plan": asdict(plan),
        "labels": given_labels(scored).tolist(),
        "n_classes": len(info.classes),
        "measure": measured,
        "depth": depth,
        "seeds": seeds,
        "validation": None if validation is None else str(Path(validation).resolve()),
        "device": device,
        "epochs": epochs,
        "question": _request(question, info.modality),
    }
    readable = [*_readable(run, validation), *_question_files(question)]
    unfinished = UnfinishedTrials(run.path, arguments, readable)

    def heard(event: dict[str, Any]) -> None:
        if "trial" in event:
            unfinished.append(event["trial"])
        else:
            progress(event)

    result = run_job(
        "verify",
        {**arguments, "finished": unfinished.trials},
        progress=heard,
        cancelled=cancelled,
        readable=readable,
        writable=[run.path.resolve()],
    )
    trials = without_evidence(result["trials"])
    by_losses = bool(measured) or not info.classes
    summary = {
        "score": score,
        "trim_fraction": fraction,
        "n_flagged": len(plan.flagged),
        "n_decisions": len(plan.removed) + len(plan.relabelled),
        "n_truly_wrong": len(plan.wrong),
        "depth": depth,
        "seeds": seeds,
        **{name: value for name, value in result.items() if name not in ("trials", "curve_trials", "jail")},
        "judged_on": _judged_on(trials, validation),
        "arms": (compare_losses if by_losses else compare)(trials, split=validation is None),
        **({"measure": measured} if measured else {}),
    }
    summary["curve"] = curve_of(result.get("curve_trials", ()), summary["arms"], len(plan.flagged), len(scored))
    if min_gain is not None:
        least = summary["arms"][TRIMMED]["gain"]["interval_90"][0]
        summary |= {"min_gain": min_gain, "reaches_min_gain": least >= min_gain}
    if not by_losses:
        summary["verdict"] = verdict(summary)
        summary["warnings"] = warnings(summary, info.model_accuracy_on_given_labels or 0.0)
    else:
        summary["verdict"] = verdict_on_losses(summary)
        if "removal" in summary:
            summary["verdict"] += f" {removal_verdict(summary['removal'])}"
        summary["warnings"] = warnings_on_losses(summary)
    summary["trials"] = trials
    summary["seconds"] = round(time.perf_counter() - start, 2)
    summary["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    write_whole(run.path / "verify.json", lambda path: path.write_text(text, encoding="utf-8"))
    unfinished.remove()
    return summary


def _request(question: Path | str | tuple[str, str | None] | None, modality: str) -> dict[str, Any] | None:
    """What the worker is asked about a language model's responses."""
    if question is None:
        return None
    if modality != "causal_lm":
        raise OgaError("Only rows of language models push for a response, and this run is of another kind.")
    if isinstance(question, tuple):
        return {"prompt": question[0], "response": question[1]}
    if not Path(question).exists():
        raise OgaError(f"The file of prompts and responses {str(question)!r} does not exist. Give a file.")
    return {"file": str(Path(question).resolve())}


def _question_files(question: Path | str | tuple[str, str | None] | None) -> list[Path]:
    return [] if question is None or isinstance(question, tuple) else [Path(question).resolve()]


def _trim_fraction(scored: ScoredRun, wanted: float | None) -> float:
    fraction = scored.trim_fraction(wanted)
    if fraction == 0 and wanted is None:
        raise OgaError("This run suggests to trim nothing, so there is nothing to compare. Choose the share to trim.")
    if not 0 < fraction <= LARGEST_TRIM_FRACTION:
        raise OgaError(f"The trim fraction must be above 0 and at most {LARGEST_TRIM_FRACTION}, got {fraction}.")
    return float(fraction)


def _check(
    scored: ScoredRun,
    score: str,
    depth: str,
    seeds: int,
    epochs: int | None,
    validation: Path | str | None,
) -> None:
    info = scored.info
    if score not in scored.scores:
        raise unknown("score of this run:", score, scored.scores)
    if depth not in DEPTHS:
        raise unknown("depth", depth, DEPTHS)
    for name, value in (("seeds", seeds), ("epochs", epochs)):
        if value is not None and value < 1:
            raise OgaError(f"The number of {name} must be 1 or more, got {value}.")
    is_language = info.modality == "causal_lm"
    if not info.classes and not is_language and info.target not in TRAINABLE:
        raise OgaError(
            "This run's data has no class labels, so trainings cannot be compared by their accuracy. Export the fixed "
            "data, train your model on them, and score them again to compare the two runs."
        )
    if depth == "head" and only_whole(info):
        what = "For masks" if info.target == "mask" else "Under a loss of one's own"
        raise OgaError(f"{what} the whole network is trained. Give the depth 'all', or none.")
    if len(scored) < FEWEST_SAMPLES:
        raise OgaError(f"The run has {len(scored)} samples; a comparison needs at least {FEWEST_SAMPLES}.")
    if validation is not None and not Path(validation).exists():
        raise OgaError(f"The validation data {str(validation)!r} does not exist. Give a file or folder.")
    model = info.model.path
    if depth == "all" and (model is None or info.model_format == "outputs"):
        raise OgaError(
            "This run was made from a model's outputs, so there is no network to train. Use --depth head, or retrain "
            "yourself on the exported data set."
        )
    needs_model = depth == "all" or is_language or (validation is not None and info.modality != "outputs")
    if needs_model and info.options.get("model_factory"):
        raise OgaError(OWN_CODE)
    if needs_model and (model is None or not Path(model).exists()):
        raise OgaError(f"The model {model} is not there any more. Put it back, or score the data again.")


def _plan(scored: ScoredRun, score: str, fraction: float, decisions: bool) -> Plan:
    """What is flagged, suggested and decided, as positions and class indices."""
    flagged = scored.ranked(score).flagged(fraction)
    removed, relabelled = _decided(scored) if decisions else ([], {})
    return Plan(flagged.tolist(), suggested_labels(scored, flagged), removed, relabelled)


def _with_curve(plan: Plan, scored: ScoredRun, score: str, fraction: float, depth: str, *, asked: bool) -> Plan:
    """The plan with other shares to trim: a few about the flagged one where heads are trained, which takes seconds.

    Where they were asked for, from 2.5 % to the noise rate, or to the flagged share where none was estimated, and each
    with the suggestions beside.
    """
    if not scored.classes or (depth != "head" and not asked):
        return plan
    most = round(LARGEST_TRIM_FRACTION * len(scored))
    if not asked:
        counts = curve_counts(len(plan.flagged), most)
        return replace(plan, order=scored.order(score)[: max(counts, default=0)].tolist(), curve=counts)
    counts = sorted({min(round(share * len(scored)), most) for share in curve_shares(scored.noise_rate or fraction)})
    longest = _plan(scored, score, counts[-1] / len(scored), decisions=False)
    return replace(plan, order=longest.flagged, curve=[c for c in counts if c], suggested=longest.predicted)


def _measure(scored: ScoredRun, depth: str) -> str | None:
    """What trainings are judged by where it is not accuracy, None for classes and for language models."""
    info = scored.info
    if info.modality == "causal_lm" or (info.classes and not (depth == "all" and info.loss.get("name") == OWN)):
        return None
    return measure(info)


def _decided(scored: ScoredRun) -> tuple[list[int], dict[str, Any]]:
    """Rows to remove, a mask that is yet to be drawn among them, and the new label by row."""
    removed = []
    relabelled: dict[str, Any] = {}
    decisions = standing_decisions(scored.run.review)
    for row, decision in zip(scored.ids.rows(decisions).tolist(), decisions.values(), strict=True):
        if row < 0:
            continue
        if decision.action == "remove" or decision.new_label == REDO:
            removed.append(row)
        elif decision.action == "relabel" and (label := label_of(scored, decision.new_label)) is not None:
            relabelled[str(row)] = label
    return removed, relabelled


def _readable(run: RunFolder, validation: Path | str | None) -> list[Path]:
    info = run.info
    data = Path(info.data.path)
    model = info.model.path
    paths = [data, info.data.options.get("labels"), info.options.get("model_card"), validation]
    files = [Path(path).resolve() for path in paths if path is not None]
    return [*files, *files_of(Path(model))] if model and Path(model).exists() else files


def _judged_on(trials: list[dict[str, Any]], validation: Path | str | None) -> dict[str, Any]:
    count = trials[0]["n_judged"]
    if validation is not None:
        return {"kind": "validation", "path": str(validation), "n": count}
    return {"kind": "held_out", "share": HELD_OUT_SHARE, "n": count}
