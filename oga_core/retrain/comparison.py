"""What the trials of a retraining say: gains with their intervals, in numbers and in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import NORMAL_90, span
from oga_core.retrain.arms import DECIDED, NOTHING_CHANGED, RANDOM_TRIM, RELABELLED, TRIMMED, TRULY_WRONG

MEMORISED = 0.95
_LARGE = 10.0  # from here on a third decimal says nothing
SIGNED = "{:+.3f}".format
"""How gains are written."""


def compare(trials: list[dict[str, Any]], *, split: bool) -> dict[str, dict[str, Any]]:
    """Summarise the trials of each arm, with the gain in accuracy over the unchanged one and its 90 % interval.

    The interval joins the spread between seeds and the chance in which samples are judged. split: whether every seed
    judges on samples of its own, so that more seeds also mean more samples.
    """
    arms: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        arms.setdefault(trial["arm"], []).append(trial)
    unchanged = np.array([trial["accuracy"] for trial in arms[NOTHING_CHANGED]])
    summary = {}
    for name, members in arms.items():
        values = {key: np.array([m[key] for m in members]) for key in ("accuracy", "balanced_accuracy", "loss")}
        gain = values["accuracy"] - unchanged
        half = half_width(gain, _within(members, split), split)
        summary[name] = {
            "n_train": round(float(np.mean([m["n_train"] for m in members]))),
            "n_relabelled": round(float(np.mean([m["n_relabelled"] for m in members]))),
            **{key: {"mean": float(v.mean()), "std": spread(v), "values": v.tolist()} for key, v in values.items()},
            "of_class": _mean_of_classes([m["of_class"] for m in members if "of_class" in m]),
            "gain": {
                "mean": float(gain.mean()),
                "interval_90": [float(gain.mean() - half), float(gain.mean() + half)],
                "says": says(float(gain.mean()), half) if name != NOTHING_CHANGED else "the comparison",
            },
        }
    return summary


def _mean_of_classes(trials: list[list[float | None]]) -> list[float | None]:
    """The mean accuracy of each class over the seeds that judged it."""
    if not trials:
        return []
    values = np.array(trials, dtype=np.float64)
    counts = np.isfinite(values).sum(axis=0)
    means = np.nansum(values, axis=0) / np.maximum(counts, 1)
    return [float(mean) if count else None for mean, count in zip(means, counts, strict=True)]


def curve_of(
    trials: Sequence[dict[str, Any]], arms: dict[str, dict[str, Any]], flagged: int, n_samples: int
) -> list[dict[str, Any]]:
    """Accuracy over the share that is trimmed, 0 to 1 each, from none on; empty where no other shares were tried.

    Beside it, where it was tried, that with the same samples relabelled to what is suggested for them.
    """
    if not trials:
        return []
    values: dict[tuple[str, int], list[float]] = {
        (name, count): arms[arm]["accuracy"]["values"]
        for name in (TRIMMED, RELABELLED)
        for arm, count in ((NOTHING_CHANGED, 0), (name, flagged))
        if arm in arms
    }
    for trial in trials:
        values.setdefault((trial["kind"], trial["count"]), []).append(trial["accuracy"])
    with_suggestions = any(trial["kind"] == RELABELLED for trial in trials)
    points = []
    for count in sorted({count for _, count in values}):
        some = values[TRIMMED, count]
        point = {"trim_fraction": count / n_samples, "accuracy": float(np.mean(some)), "std": spread(np.array(some))}
        if with_suggestions:
            point["relabelled_accuracy"] = float(np.mean(values[RELABELLED, count]))
        points.append(point)
    return points


def headline(summary: dict[str, Any]) -> tuple[str, str]:
    """Return in one line whether trimming what is flagged helped, and in another what to do next."""
    arms = summary["arms"]
    best = max((name for name in _CLEANED if name in arms), key=lambda name: arms[name]["gain"]["interval_90"][0])
    gain = arms[best]["gain"]
    low, high = gain["interval_90"]
    if "accuracy" in arms[TRIMMED]:
        ends = span(100 * low, 100 * high, "{:+.1f}".format)
        size = f"{100 * gain['mean']:+.1f} points of accuracy ({ends})"
    else:
        change = partial(loss_figure, sign="+")
        measure = summary.get("measure", "loss")
        size = f"the {measure} changes by {change(-gain['mean'])} ({span(-high, -low, change)})"
    result = {"better": "it helps", "worse": "it does harm"}.get(gain["says"], "not clear yet")
    return f"{_CLEANED[best]}: {size}, {result}.", _next(summary, best, gain["says"])


def loss_figure(value: float, sign: str = "") -> str:
    """A loss to the third decimal, and an error in the data's units to as many digits as it has above that."""
    return f"{value:{sign}.3f}" if abs(value) < _LARGE else f"{value:{sign},.4g}"


def _next(summary: dict[str, Any], best: str, result: str) -> str:
    if result == "better":
        return _DO[best]
    if result == "worse":
        return "Leave the data as they are, and review the most suspicious samples instead."
    if summary.get("depth") == "head" and "accuracy" in summary["arms"][best]:
        return "Retrain the whole network, or review 100 more and compare again."
    if summary["judged_on"]["kind"] == "held_out":
        return "Give clean validation data, or train more often, to see a smaller difference."
    return "Review 100 more and compare again, or train more often."


_CLEANED = {
    TRIMMED: "Trimming what is flagged",
    RELABELLED: "Taking each suggestion",
    DECIDED: "Carrying out your decisions",
}
_DO = {
    TRIMMED: "Export the data without them, and train on that.",
    RELABELLED: "Look at some of the suggestions, then export the data with them, and train on that.",
    DECIDED: "Export the fixed data set, and train on that.",
}


def spread(values: NDArray[np.float64]) -> float:
    """Standard deviation of trials, 0 of one."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def half_width(gain: NDArray[np.float64], within: float, split: bool) -> float:
    """Half of a gain's 90 % interval, from the spread between seeds `(n_seeds,)` and what judging leaves to chance."""
    from scipy.stats import t

    between = t.ppf(0.95, len(gain) - 1) * spread(gain) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return float(max(between, within) if split else np.hypot(between, within))


def _within(members: list[dict[str, Any]], split: bool) -> float:
    """By chance of which samples are judged, paired with the unchanged arm."""
    discordant = np.mean([m["only_this_right"] + m["only_unchanged_right"] for m in members])
    judged = members[0]["n_judged"] * (len(members) if split else 1)
    return float(NORMAL_90 * np.sqrt(discordant / members[0]["n_judged"] / judged))


def says(gain: float, half: float) -> str:
    """What a gain and half of its interval amount to."""
    if abs(gain) <= half or gain == 0:
        return "no clear difference"
    return "better" if gain > 0 else "worse"


_DONE = {
    TRIMMED: "Trimming the {n_flagged:,} most suspicious samples ({trim_fraction:.1%} by {score!r})",
    RANDOM_TRIM: "Trimming as many at random",
    RELABELLED: "Relabelling the flagged samples to the suggested labels",
    DECIDED: "Carrying out the {n_decisions:,} decisions",
    TRULY_WRONG: "Trimming the {n_truly_wrong:,} samples whose label is truly wrong, the most that trimming can do",
}


def verdict(summary: dict[str, Any]) -> str:
    """Say in plain sentences what each arm gained and whether that is more than chance."""
    arms = summary["arms"]
    judged = summary["judged_on"]
    where = "validation samples" if judged["kind"] == "validation" else "held-out samples"
    base = arms[NOTHING_CHANGED]["accuracy"]["mean"]
    sentences = [
        f"Trained on the data as it is, accuracy on {judged['n']:,} {where} is {base:.3f} (mean of {summary['seeds']})."
    ]
    for name, text in _DONE.items():
        if name in arms:
            gain = arms[name]["gain"]
            low, high = gain["interval_90"]
            sentences.append(
                f"{text.format(**summary)}: {gain['mean']:+.3f} (90 % interval {span(low, high, SIGNED)}), "
                f"{gain['says']}."
            )
    lead = arms[TRIMMED]["gain"]["mean"] - arms[RANDOM_TRIM]["gain"]["mean"]
    if arms[TRIMMED]["gain"]["says"] != "better" and lead > 0:
        sentences.append(f"Against a random trim of the same size, the flagged trim is {lead:+.3f}.")
    return " ".join(sentences)


def warnings(summary: dict[str, Any], accuracy_on_given: float) -> list[str]:
    """Say what could mislead in this comparison; `accuracy_on_given` is the scored model's, 0 to 1."""
    sentences = []
    if summary["judged_on"]["kind"] == "held_out":
        sentences.append(
            "Judged on held-out samples with the labels they were given: some are wrong, so accuracies read too low, "
            "and where labels are wrong in a systematic way a real gain can look like a loss. Give clean samples with "
            "--validation for a firm answer."
        )
        if summary["depth"] == "head" and accuracy_on_given > MEMORISED:
            sentences.append(
                "The model has memorised its labels, the held-out ones included, so its features favour the labels as "
                "they are. Give --validation, or use --depth all."
            )
    if summary.get("start") == "the scored model's weights":
        sentences.append(
            "Training went on from the scored model, which has already learned from the wrong labels: gains read "
            "too low."
        )
    if summary["arms"][RELABELLED]["gain"]["says"] == "better":
        sentences.append(
            "Relabelling to the model's own suggestion can help training even where it makes labels wrong. Look at the "
            "samples before you export new labels."
        )
    if summary["seeds"] < 3:
        sentences.append(f"{summary['seeds']} seed(s) say little about chance; use at least 3.")
    return sentences
