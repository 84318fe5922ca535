"""Several reviewers on one run: their agreement, their disagreements, and the history of every decision."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from oga_app.components.grid.sample_grid import sample_grid
from oga_app.elements import desk, hints, messages
from oga_app.views import header
from oga_app.views.header import Opened
from oga_core.review.agreement import cohen_kappa
from oga_core.review.decisions import Decision, Step


@messages.guarded
def reviewers() -> None:
    """Who decided how much, how far they agree, and what is to be settled."""
    view = header.opened()
    assert view is not None
    store = view.board.store
    people = store.reviewers()
    if not people:
        messages.empty("Nobody has decided anything yet.")
        return
    hints.section("Review", "Reviewers")
    if len(people) == 1:
        name, count = next(iter(people.items()))
        alone = f"{name} is the only reviewer, with {messages.counted(count, 'decision', 'decisions')}."
        messages.quiet(f"{alone} How far reviewers agree is here once another has decided on some of the same samples.")
        return
    alpha = store.agreement()
    differing = store.disagreements()
    each = ", ".join(f"{name}: {count:,}" for name, count in people.items())
    about = "Krippendorff's alpha: 1 = always agree, 0 = chance"
    messages.figures(
        messages.Figure("Reviewers", f"{len(people)}", each),
        messages.Figure("Agreement", "–" if alpha is None else f"{alpha:.2f}", about),
        messages.Figure("Open disagreements", f"{len(differing):,}"),
    )
    _kappas(view, list(people))
    if differing:
        _settle(view, differing)


def _kappas(view: Opened, people: list[str]) -> None:
    own = {name: view.board.store.decisions(name) for name in people}
    table = []
    for i, first in enumerate(people):
        for second in people[i + 1 :]:
            shared = sorted(own[first].keys() & own[second].keys())
            kappa = cohen_kappa(*([own[name][sample_id].verdict for sample_id in shared] for name in (first, second)))
            table.append({"First": first, "Second": second, "Shared samples": len(shared), "Cohen's kappa": kappa})
    st.dataframe(pd.DataFrame(table), hide_index=True)


def _settle(view: Opened, differing: dict[str, list[Decision]]) -> None:
    messages.section(
        "Settle", "The chosen verdict stands over those of all reviewers; it can be undone like any other."
    )
    sample_id = st.selectbox("Sample", list(differing), key="settle-sample")
    row = view.data.ids.get(sample_id)
    if row is None:
        return
    shown = desk.sample_view(view.data, view.board, row, score=view.score, flagged=view.flagged, side=desk.LARGE)
    sample_grid([shown], key="settle-view", size=240)
    votes = {vote.reviewer: vote for vote in differing[sample_id]}
    for name, vote in votes.items():
        if st.button(messages.plain(f"{name}: {vote.verdict}"), key=f"settle-{name}"):
            settled = Decision(
                sample_id, vote.action, vote.new_label, view.session.reviewer, note=f"settled as {name} said"
            )
            view.board.store.decide(settled, settle=True)
            st.rerun()


@messages.guarded
def history() -> None:
    """Every step of everybody, newest first, with undo and redo of one's own."""
    view = header.opened()
    assert view is not None
    steps = view.board.store.history(limit=500)
    if not steps:
        messages.empty("Nothing has been decided yet. The history of every decision will be here.")
        return
    hints.section("Review", "History")
    with st.container(horizontal=True):
        if st.button("Undo my last step", icon=":material/undo:", key="history-undo"):
            view.board.store.undo(view.session.reviewer)
            st.rerun()
        if st.button("Redo", icon=":material/redo:", key="history-redo"):
            view.board.store.redo(view.session.reviewer)
            st.rerun()
    st.dataframe(pd.DataFrame(map(_line, steps)), hide_index=True)


def _line(step: Step) -> dict[str, object]:
    """One step as a line of the table."""
    return {
        "Step": step.seq,
        "When": step.time[:19].replace("T", " "),
        "Who": step.reviewer,
        "What": step.kind + (f" of step {step.undoes}" if step.undoes else ""),
        "Verdict": step.first.verdict if step.first else "",
        "Samples": step.n_samples,
        "First sample": step.first.sample_id if step.first else "",
        "Undone": step.undone,
    }
