"""What trials that are judged by losses or errors say: how those of what was held out change, and by chance."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from oga_core.numerics import NORMAL_90, span
from oga_core.retrain.arms import DECIDED, NOTHING_CHANGED, RANDOM_TRIM, RELABELLED, TRIMMED, TRULY_WRONG
from oga_core.retrain.comparison import half_width, loss_figure, says, spread


def compare_losses(trials: list[dict[str, Any]], *, split: bool) -> dict[str, dict[str, Any]]:
    """Summarise the trials of each arm, with the fall of the loss against the unchanged one and its 90 % interval.

    The interval joins the spread between seeds and the chance in which responses are judged, each against itself.
    split: whether every seed judges on rows of its own.
    """
    arms: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        arms.setdefault(trial["arm"], []).append(trial)
    unchanged = np.array([trial["loss"] for trial in arms[NOTHING_CHANGED]])
    summary = {}
    for name, members in arms.items():
        losses = np.array([member["loss"] for member in members])
        gain = unchanged - losses
        judged = members[0]["n_judged"] * (len(members) if split else 1)
        within = NORMAL_90 * float(np.mean([member["difference_std"] for member in members])) / np.sqrt(judged)
        half = half_width(gain, within, split)
        mean = float(gain.mean())
        summary[name] = {
            "n_train": round(float(np.mean([member["n_train"] for member in members]))),
            "n_relabelled": round(float(np.mean([member.get("n_relabelled", 0) for member in members]))),
            "loss": {"mean": float(losses.mean()), "std": spread(losses), "values": losses.tolist()},
            "gain": {
                "mean": mean,
                "interval_90": [mean - half, mean + half],
                "says": says(mean, half) if name != NOTHING_CHANGED else "the comparison",
            },
        }
    return summary


_DONE = {
    TRIMMED: "Without the {n_flagged:,} most suspicious {rows} ({trim_fraction:.1%} by {score!r})",
    RANDOM_TRIM: "Without as many random {rows}",
    RELABELLED: "With what is suggested in place of what the flagged ones have",
    TRULY_WRONG: "Without the {n_truly_wrong:,} {rows} that are truly wrong, the most that trimming can do,",
    DECIDED: "With the {n_decisions:,} decisions carried out",
}


OF_RESPONSES = "loss of the responses"


def verdict_on_losses(summary: dict[str, Any]) -> str:
    """Say in plain sentences how much the losses or errors fall in each arm, and whether that is more than chance.

    `measure` of the summary says what they are; the loss of responses where it is not there.
    """
    arms = summary["arms"]
    judged = summary["judged_on"]
    rows = _rows(summary)
    where = f"validation {rows}" if judged["kind"] == "validation" else f"held-out {rows}"
    base = arms[NOTHING_CHANGED]["loss"]["mean"]
    sentences = [
        f"Trained on the {rows} as they are, the {summary.get('measure', OF_RESPONSES)} of {judged['n']:,} {where} is "
        f"{loss_figure(base)} (mean of {summary['seeds']})."
    ]
    for name, text in _DONE.items():
        if name in arms:
            gain = arms[name]["gain"]
            low, high = (-bound for bound in reversed(gain["interval_90"]))
            sentences.append(
                f"{text.format(**summary, rows=rows)} it is {loss_figure(-gain['mean'], sign='+')} (90 % interval "
                f"{span(low, high, partial(loss_figure, sign='+'))}), {gain['says']}."
            )
    lead = arms[TRIMMED]["gain"]["mean"] - arms[RANDOM_TRIM]["gain"]["mean"]
    sentences.append(
        f"Against as many random {rows}, which are as many steps fewer, that is {loss_figure(-lead, sign='+')}."
    )
    return " ".join(sentences)


def warnings_on_losses(summary: dict[str, Any]) -> list[str]:
    """Say what could mislead in this comparison."""
    passes = []
    rows = _rows(summary)
    if summary["judged_on"]["kind"] == "held_out":
        passes.append(
            f"Judged on held-out {rows} as they are: a wrong one among them favours a model that has learnt others "
            f"like it. Give clean {rows} as validation data for a firm answer."
        )
    if summary.get("start") == "the scored model's weights":
        passes.append(f"Training went on from the scored weights, which have learnt all {rows}: gains read too low.")
    if summary["seeds"] < 3:
        passes.append(f"{summary['seeds']} seed(s) say little about chance; use at least 3.")
    return passes


def _rows(summary: dict[str, Any]) -> str:
    """What the samples are called: rows of a language model's file; all else may be pictures."""
    return "rows" if summary.get("measure", OF_RESPONSES) == OF_RESPONSES else "samples"
