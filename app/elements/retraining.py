"""Figures of a comparison of trainings, each arm in a colour of its own and chance in grey."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from oga_app.elements import charts
from oga_app.elements.theme import ACCENT, DECISION_COLOURS, GREY
from oga_core.retrain.arms import DECIDED, NOTHING_CHANGED, RANDOM_TRIM, RELABELLED, TRIMMED, TRULY_WRONG

_ARMS = {
    NOTHING_CHANGED: ("As it is", GREY),
    TRIMMED: ("Without the flagged", ACCENT),
    RANDOM_TRIM: ("Without as many at random", GREY),
    RELABELLED: ("With each suggestion", DECISION_COLOURS["relabel"]),
    DECIDED: ("With your decisions", DECISION_COLOURS["keep"]),
    TRULY_WRONG: ("Without all that are truly wrong", GREY),
}


def words(arm: str) -> str:
    """What a person calls an arm."""
    return _ARMS.get(arm, (arm.replace("_", " "), GREY))[0]


def gains(arms: dict[str, dict[str, Any]], measure: str = "loss") -> go.Figure:
    """The gain of each arm over the data as they are, with its 90 % interval; measure: what falls, without classes."""
    names = [name for name in arms if name != NOTHING_CHANGED]
    figure = go.Figure()
    for name in names:
        gain = arms[name]["gain"]
        low, high = gain["interval_90"]
        colour = _ARMS.get(name, ("", GREY))[1]
        error = {"array": [high - gain["mean"]], "arrayminus": [gain["mean"] - low], "color": colour, "thickness": 2}
        figure.add_scatter(
            x=[gain["mean"]],
            y=[words(name)],
            mode="markers",
            marker={"size": 11, "color": colour},
            error_x=error,
            showlegend=False,
            hovertemplate="%{y}: %{x:+.3f}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GREY, "dash": "dot"})
    figure.update_yaxes(autorange="reversed")
    is_accuracy = all("accuracy" in arm for arm in arms.values())
    title = "gain in accuracy" if is_accuracy else f"fall of the {measure}"
    return charts.quiet(figure, 120 + 44 * len(names), xaxis_title=f"{title}, with 90 % interval")


def curve(points: list[dict[str, Any]], threshold: float) -> go.Figure:
    """Accuracy over the share that is trimmed, with the threshold of the comparison."""
    figure = go.Figure(
        go.Scatter(
            x=[100 * point["trim_fraction"] for point in points],
            y=[point["accuracy"] for point in points],
            error_y={"array": [point["std"] for point in points], "color": GREY},
            mode="lines+markers",
            line={"color": ACCENT},
            hovertemplate="%{x:.1f} % trimmed: %{y:.3f}<extra></extra>",
            showlegend=False,
        )
    )
    relabelled = [point for point in points if "relabelled_accuracy" in point]
    if relabelled:
        figure.add_scatter(
            x=[100 * point["trim_fraction"] for point in relabelled],
            y=[point["relabelled_accuracy"] for point in relabelled],
            mode="lines+markers",
            line={"color": DECISION_COLOURS["relabel"]},
            name="with each suggestion",
            hovertemplate="%{x:.1f} % relabelled: %{y:.3f}<extra></extra>",
        )
    figure.add_vline(
        x=100 * threshold, line={"color": GREY, "dash": "dot"}, annotation_text="threshold", annotation_position="top"
    )
    return charts.quiet(figure, 340, xaxis_title="share trimmed, %", yaxis_title="accuracy")
