"""Retrain and compare: does trimming, relabelling or carrying out the decisions help, more than chance would?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from oga_app import cache
from oga_app.background import verifying
from oga_app.background.progress import duration
from oga_app.elements import charts, messages
from oga_app.elements.theme import ACCENT, GREY
from oga_app.views.header import Opened


def show(view: Opened) -> None:
    """The options, the progress and what the last comparison found."""
    messages.section(
        "Retrain and compare",
        "Trains again with nothing changed, without the flagged samples, without as many random ones, with suggested "
        "labels, and with your decisions carried out; each is judged on data that is never cleaned.",
    )
    job = cache.verifications().get(str(view.data.path))
    if job is not None and job.running:
        _watch(str(view.data.path))
    else:
        if job is not None and job.error:
            messages.problem(job.error)
        _form(view)
    result = verifying.result(view.data.path)
    if result is None:
        messages.empty("This run has not been retrained yet.")
    else:
        _result(result)


def _form(view: Opened) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        depth = "all"
        if not view.session.speaks:
            depth = st.selectbox(
                "Train",
                ("head", "all"),
                format_func={"head": "the last layer", "all": "the whole network"}.get,
                key="depth",
            )
        seeds = st.number_input("Trainings of each", 1, 20, 3, key="seeds")
        validation = st.text_input(
            "Clean validation data (path)", placeholder="else a held-out fifth", key="verify-validation"
        )
        go_on = st.button("Retrain and compare", type="primary", key="verify")
    if not view.flagged:
        messages.quiet("Nothing is flagged, so there is nothing to trim. Move the threshold on the Explore page.")
    if go_on and view.flagged:
        _start(view, depth, int(seeds), validation)


def _start(view: Opened, depth: str, seeds: int, validation: str) -> None:
    view.session.settings.require_jail()
    path = view.session.settings.confined(validation) if validation.strip() else None
    cache.verifications()[str(view.data.path)] = verifying.start(
        view.data.path,
        trim_fraction=view.flagged / len(view.data),
        score=view.score,
        validation=path,
        seeds=seeds,
        depth=depth,
    )
    st.rerun()


@st.fragment(run_every=1.0)
@messages.guarded
def _watch(path: str) -> None:
    job = cache.verifications().get(path)
    if job is None or not job.running:
        st.rerun()
    done = job.event.get("done")
    total = job.event.get("total")
    left = job.event.get("seconds_left")
    words = str(job.event.get("stage", "starting")).capitalize()
    words += f" · about {duration(left)} left" if left is not None else ""
    st.progress(min(done / total, 1.0) if done and total else 0.0, text=messages.plain(words))
    if st.button("Cancel", key="cancel-verify"):
        job.cancelled.set()


def _result(result: dict[str, Any]) -> None:
    messages.section("What it found")
    messages.prose(str(result.get("verdict", "")))
    for warning in result.get("warnings", ()):
        messages.note(str(warning))
    arms: dict[str, dict[str, Any]] = result.get("arms", {})
    st.plotly_chart(_gains(arms), key="gains")
    _table(arms)
    messages.quiet(
        f"By {str(result.get('score', '')).replace('_', ' ')}, {result.get('n_flagged', 0):,} flagged, "
        f"{result.get('seeds')} trainings each, {duration(float(result.get('seconds', 0)))}, "
        f"finished {result.get('finished', '')}."
    )


def _table(arms: dict[str, dict[str, Any]]) -> None:
    table = pd.DataFrame(
        [
            {
                "Training data": name.replace("_", " "),
                "Samples": arm["n_train"],
                **_figures(arm),
                "Gain": arm["gain"]["mean"],
                "Result": arm["gain"]["says"],
            }
            for name, arm in arms.items()
        ]
    )
    names = ("Accuracy", "Balanced accuracy", "Loss of the responses")
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in names}
    st.dataframe(
        table, hide_index=True, column_config={**numbers, "Gain": st.column_config.NumberColumn(format="%+.3f")}
    )


def _figures(arm: dict[str, Any]) -> dict[str, Any]:
    """What an arm is judged by: accuracies, or of a language model the loss."""
    if "accuracy" not in arm:
        return {"Loss of the responses": arm["loss"]["mean"]}
    return {
        "Labels changed": arm["n_relabelled"],
        "Accuracy": arm["accuracy"]["mean"],
        "Balanced accuracy": arm["balanced_accuracy"]["mean"],
    }


def _gains(arms: dict[str, dict[str, Any]]) -> go.Figure:
    names = [name for name, arm in arms.items() if arm["gain"]["says"] != "the comparison"]
    gains = [arms[name]["gain"] for name in names]
    above = [gain["interval_90"][1] - gain["mean"] for gain in gains]
    below = [gain["mean"] - gain["interval_90"][0] for gain in gains]
    figure = go.Figure(
        go.Scatter(
            x=[gain["mean"] for gain in gains],
            y=[name.replace("_", " ") for name in names],
            mode="markers",
            marker={"size": 11, "color": [ACCENT if gain["says"] == "better" else GREY for gain in gains]},
            error_x={"array": above, "arrayminus": below, "color": GREY},
            hovertemplate="%{y}: %{x:+.3f}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": GREY, "dash": "dot"})
    figure.update_yaxes(autorange="reversed")
    judged = "accuracy" if all("accuracy" in arm for arm in arms.values()) else "loss"
    title = {"accuracy": "gain in accuracy", "loss": "fall of the loss"}[judged]
    return charts.quiet(figure, 120 + 44 * len(names), xaxis_title=f"{title}, with 90 % interval")
