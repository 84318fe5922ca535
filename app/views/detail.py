"""One sample in full, in a dialog: what it is, why it was flagged, what lies near it, and what was decided."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from oga_app import cache, state
from oga_app.components.grid.sample_grid import sample_grid
from oga_app.elements import charts, desk, hints, messages
from oga_app.views import numbers
from oga_app.views.header import Opened
from oga_app.views.selection.act import act_alike
from oga_core.review.decisions import Decision
from oga_core.review.proposals import can_relabel
from oga_core.runs.evidence import Neighbour
from oga_core.runs.words import LABEL


def detail(view: Opened) -> None:
    """Open the dialog for the session's opened sample."""
    row = view.data.ids.get(view.session.opened or "")
    if row is None:
        _close()
    else:
        _dialog(view, row)


def _close() -> None:
    state.session().opened = None


@st.dialog("Sample", width="large", on_dismiss=_close)
@messages.guarded
def _dialog(view: Opened, row: int) -> None:
    messages.section(str(view.data.ids[row]))
    left, right = st.columns([3, 2])
    with left:
        shown = desk.sample_view(view.data, view.board, row, score=view.score, flagged=view.flagged, side=desk.LARGE)
        sample_grid([shown], key="detail-sample", size=320)
        messages.prose(f"{shown.why} {desk.pull(view.data, row)}")
    with right:
        _facts(view, row)
        _buttons(view, row)
    with st.expander("Decide on samples like this one too", icon=":material/done_all:"):
        if act_alike(view, row):
            _close()
            st.rerun()
    about_row(view, row, key="detail-ask")
    neighbours(view, row, key="detail-near")
    history(view, row)


def _facts(view: Opened, row: int) -> None:
    data = view.data
    for label, code in (("Given label", data.given[row]), ("Predicted label", data.predicted[row])):
        if data.classes:
            messages.quiet(label)
            messages.prose(data.class_name(int(code)))
    if data.target != "class":
        numbers.facts(view, row)
    wrong = desk.wrong_probability(view.board, row)
    if wrong is not None:
        messages.prose(f"The given {LABEL[data.target]} is {messages.chance(wrong)} likely wrong.")
    probabilities = cache.evidence(data).probabilities(row, wrong)
    if probabilities:
        table = pd.DataFrame([(name, 100 * chance) for name, chance in probabilities], columns=["class", "probability"])
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                "class": "Class",
                "probability": charts.percent("Probability"),
            },
        )
    scores = pd.DataFrame(
        {
            "score": [name.replace("_", " ") for name in data.scores],
            "percentile": [data.percentile(name, row) for name in data.scores],
        }
    )
    st.dataframe(
        scores,
        hide_index=True,
        height=min(35 * len(scores) + 38, 210),
        column_config={
            "score": "Score",
            "percentile": st.column_config.NumberColumn("Percentile", format="%.1f"),
        },
    )


def _buttons(view: Opened, row: int) -> None:
    sample_id = str(view.data.ids[row])
    data = view.data
    suggestion = data.suggestion(row)
    with st.container(horizontal=True):
        for action in ("keep", "remove", "unsure"):
            if st.button(action.capitalize(), key=f"detail-{action}"):
                _decide(view, Decision(sample_id, action, reviewer=view.session.reviewer))
    if data.classes:
        default = suggestion if suggestion >= 0 else None
        label = st.selectbox("New label", data.classes, index=default, placeholder="choose a class", key="detail-label")
        if st.button("Relabel", type="primary", disabled=label is None, key="detail-relabel"):
            _decide(view, Decision(sample_id, "relabel", label, view.session.reviewer))

    if can_relabel(data) and not data.classes and (value := numbers.new_value(view, row)):
        _decide(view, Decision(sample_id, "relabel", value, view.session.reviewer))


def _decide(view: Opened, decision: Decision) -> None:
    view.board.store.decide(decision)
    _close()
    st.rerun()


def neighbours(view: Opened, row: int, key: str) -> None:
    """What the model sees alike, and whose gradients point the same way, with the same label and with others."""
    data = view.data
    evidence = cache.evidence(view.data)
    twin = data.ids.get(data.text("twin_id", row))
    if twin is not None:
        messages.section("Its near-duplicate")
        _tiles(view, [Neighbour(twin, 1.0)], f"{key}-twin")
    if evidence.fault:
        messages.quiet(evidence.fault)
    alike = evidence.look_alikes(row)
    if alike and data.given[row] >= 0:
        agree = sum(data.given[item.row] == data.given[row] for item in alike)
        about = f"{agree} of {len(alike)} have the same given label."
        hints.section("Review", "Neighbours", "What looks most alike to the model", about, place=key)
        _tiles(view, alike, f"{key}-alike")
    same, other = evidence.neighbours(row)
    labelled = data.given[row] >= 0
    for title, near in ((", with the same given label" if labelled else "", same), (", with other labels", other)):
        if near:
            messages.section(f"Nearest in gradient space{title}")
            _tiles(view, near, f"{key}-near{title}")


def _tiles(view: Opened, near: list[Neighbour], key: str) -> None:
    rows = [item.row for item in near]
    views = desk.tiles(view.data, view.board, rows, score=view.score, flagged=view.flagged)
    sample_grid(views, key=key, size=88, rows=not any(shown.image for shown in views))


def about_row(view: Opened, row: int, key: str) -> None:
    """A button that asks about a row of the run, where its model is a language model."""
    if view.session.speaks and st.button(
        "Rows like this, rows against this", key=key, icon=":material/compare_arrows:"
    ):
        state.remember("asked", {"run": view.data.name, "row": int(row)})
        view.session.opened = None
        view.session.go("Ask")


def history(view: Opened, row: int) -> None:
    """Who decided what on this sample, and when."""
    steps = view.board.store.history(str(view.data.ids[row]), limit=20)
    if not steps:
        return
    messages.section("History")
    table = pd.DataFrame(
        [
            {
                "When": step.time[:19].replace("T", " "),
                "Who": step.reviewer,
                "What": f"{step.kind}: {step.first.verdict}" if step.first else step.kind,
                "Note": step.first.note if step.first else "",
                "Undone": step.undone,
            }
            for step in steps
        ]
    )
    st.dataframe(table, hide_index=True)
