"""Retrain and compare: does trimming, relabelling or carrying out the decisions help, more than chance would?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from oga_app import cache
from oga_app.background import verifying
from oga_app.background.progress import duration
from oga_app.elements import hints, messages, retraining
from oga_app.views.comparison import removal
from oga_app.views.header import Opened
from oga_core.retrain.arms import NOTHING_CHANGED
from oga_core.retrain.labels import only_whole
from oga_core.runs.words import LABELS


def show(view: Opened) -> None:
    """The options, the progress and what the last comparison found."""
    hints.section(
        "Compare",
        "Retrain",
        "Retrain and compare",
        "Trains again with nothing changed, without the flagged samples, without as many random ones, with "
        f"suggested {LABELS[view.data.target]}, and with your decisions carried out; each is judged on data that is "
        "never cleaned.",
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
        _result(result, view.data.classes)


def _form(view: Opened) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        depth = "all"
        if not view.session.speaks and not only_whole(view.data.info):
            depth = st.selectbox(
                "Train",
                ("head", "all"),
                format_func={"head": "the last layer", "all": "the whole network"}.get,
                key="depth",
            )
        seeds = st.number_input("Trainings of each", 1, 20, 3, key="seeds", persist_state="session")
        validation = st.text_input(
            "Clean validation data (path)", placeholder="else a held-out fifth", key="verify-validation"
        )
    question = _question() if view.session.speaks else None
    go_on = st.button("Retrain and compare", type="primary", key="verify")
    if not view.flagged:
        messages.quiet("Nothing is flagged, so there is nothing to trim. Move the threshold on the Explore page.")
    if go_on and view.flagged:
        _start(view, depth, int(seeds), validation, question)


def _question() -> tuple[str, str | None] | None:
    """What the model is asked, and says; None where the person asks nothing."""
    left, right = st.columns(2, gap="medium")
    prompt = left.text_area(
        "Also without the rows that pushed for an answer: prompt", key="verify-prompt", height=80,
        placeholder="Leave empty to compare the flagged rows only",
    )  # fmt: skip
    response = right.text_area(
        "Response", key="verify-response", height=80, placeholder="Leave empty, and the model writes it"
    )
    return (prompt, response or None) if prompt.strip() else None


def _start(
    view: Opened, depth: str, seeds: int, validation: str, question: tuple[str, str | None] | None = None
) -> None:
    view.session.settings.require_jail()
    path = view.session.settings.confined(validation) if validation.strip() else None
    cache.verifications()[str(view.data.path)] = verifying.start(
        view.data.path,
        trim_fraction=view.flagged / len(view.data),
        score=view.score,
        validation=path,
        seeds=seeds,
        depth=depth,
        question=question,
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


def _result(result: dict[str, Any], classes: Sequence[str]) -> None:
    headline, advice = said(result)
    messages.section(headline)
    messages.prose(advice)
    arms: dict[str, dict[str, Any]] = result.get("arms", {})
    left, right = st.columns(2, gap="large") if result.get("curve") else (st.container(), None)
    with left:
        st.plotly_chart(retraining.gains(arms, result.get("measure", "loss")), key="gains")
    if right is not None:
        with right:
            st.plotly_chart(retraining.curve(result["curve"], result["trim_fraction"]), key="trim-curve")
    _of_classes(arms, classes)
    if "removal" in result:
        removal.show(result["removal"])
    with st.expander("How this was computed"):
        messages.prose(str(result.get("verdict", "")))
        for warning in result.get("warnings", ()):
            messages.note(str(warning))
        _table(arms, result.get("measure"))
        messages.quiet(
            f"By {str(result.get('score', '')).replace('_', ' ')}, {result.get('n_flagged', 0):,} flagged, "
            f"{result.get('seeds')} trainings each, {duration(float(result.get('seconds', 0)))}, "
            f"finished {result.get('finished', '')}."
        )


def said(result: dict[str, Any]) -> tuple[str, str]:
    """The one line and what to do next; of a file that cannot be read so, its own words."""
    from oga_core.retrain.comparison import headline

    try:
        return headline(result)
    except (KeyError, TypeError, ValueError, IndexError):
        return "What it found", str(result.get("verdict", ""))


def _of_classes(arms: dict[str, dict[str, Any]], classes: Sequence[str]) -> None:
    """Accuracy of each class as the data are, and what each arm changes it by; the most changed first."""
    known = {name: arm["of_class"] for name, arm in arms.items() if len(arm.get("of_class") or ()) == len(classes) > 0}
    if NOTHING_CHANGED not in known or len(known) < 2:
        return
    shares = {name: np.array(values, dtype=np.float64) for name, values in known.items()}
    table = pd.DataFrame({"Class": classes, "As it is": 100 * shares[NOTHING_CHANGED]})
    for name, values in shares.items():
        if name != NOTHING_CHANGED:
            table[retraining.words(name)] = 100 * (values - shares[NOTHING_CHANGED])
    changes = table.drop(columns=["Class", "As it is"])
    order = changes.abs().max(axis=1).sort_values(ascending=False, kind="stable").index
    messages.section(
        "Accuracy of each class", "In per cent as the data are, and points gained or lost by each training."
    )
    numbers = {name: st.column_config.NumberColumn(format="%+.1f") for name in changes}
    share = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(
        table.loc[order],
        hide_index=True,
        height=min(35 * len(table) + 38, 320),
        column_config={"As it is": share, **numbers},
    )


def _table(arms: dict[str, dict[str, Any]], measure: str | None) -> None:
    table = pd.DataFrame(
        [
            {
                "Training data": retraining.words(name),
                "Samples": arm["n_train"],
                **_figures(arm, measure),
                "Gain": arm["gain"]["mean"],
                "Result": arm["gain"]["says"],
            }
            for name, arm in arms.items()
        ]
    )
    names = ("Accuracy", "Balanced accuracy", "Loss of the responses", (measure or "").capitalize())
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in names}
    st.dataframe(
        table, hide_index=True, column_config={**numbers, "Gain": st.column_config.NumberColumn(format="%+.3f")}
    )


def _figures(arm: dict[str, Any], measure: str | None) -> dict[str, Any]:
    """What an arm is judged by: accuracies, an error or a loss, or of a language model the loss of responses."""
    if measure:
        return {"Labels changed": arm["n_relabelled"], measure.capitalize(): arm["loss"]["mean"]}
    if "accuracy" not in arm:
        return {"Loss of the responses": arm["loss"]["mean"]}
    return {
        "Labels changed": arm["n_relabelled"],
        "Accuracy": arm["accuracy"]["mean"],
        "Balanced accuracy": arm["balanced_accuracy"]["mean"],
    }
