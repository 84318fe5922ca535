"""The session of a browser tab: what is open, how much is flagged, who decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_runs import image_run

from oga_app import state
from oga_app.server.settings import Settings
from oga_app.state import Session
from oga_core.runs.scored import ScoredRun


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ScoredRun:
    return ScoredRun(image_run(tmp_path_factory.mktemp("runs"), n=40).path)


@pytest.fixture
def session(data: ScoredRun) -> Session:
    return Session(Settings.parse(["--run", str(data.path)]), data.path)


@pytest.mark.parametrize(("flagged", "expected"), [(0, 0), (7, 7), (40, 40), (41, 40), (10**11, 40), (-3, 0)])
def test_no_address_flags_more_samples_than_there_are(
    session: Session, data: ScoredRun, flagged: int, expected: int
) -> None:
    session.flagged = flagged
    assert session.flagged_of(data) == expected


def test_a_score_that_the_run_has_not_is_its_default(session: Session, data: ScoredRun) -> None:
    session.score = "magic"
    assert session.score_of(data) == data.default_score
    session.score = data.scores[-1]
    assert session.score_of(data) == data.scores[-1]


def test_what_changed_is_drawn_again_once(session: Session) -> None:
    for change in (lambda: session.set_flagged(3), lambda: session.open_sample("a"), lambda: session.drop_filter()):
        change()
        assert session.take_stale()
        assert not session.take_stale()


def test_another_run_is_shown_from_its_own_defaults(session: Session, tmp_path: Path) -> None:
    session.score, session.opened = "loss", "a"
    session.set_flagged(3)
    session.set_filters(session.filters.without("given"))
    session.open(tmp_path)
    assert (session.run, session.score, session.flagged, session.opened) == (tmp_path, None, None, None)
    assert not session.filters


def test_tables_know_when_a_filter_was_taken_away(session: Session) -> None:
    session.drop_filter()
    session.drop_filter("given")
    assert session.removed == 2


def test_who_signed_in_decides_then_who_was_named_then_who_typed(
    session: Session, data: ScoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "account", lambda: "")
    assert session.reviewer == "me"
    session.own_name = "Zoë"
    assert session.reviewer == "Zoë"
    named = Session(Settings.parse(["--run", str(data.path), "--reviewer", "Eve"]), own_name="Zoë")
    assert named.reviewer == "Eve"
    monkeypatch.setattr(state, "account", lambda: "Ada")
    assert named.reviewer == session.reviewer == "Ada"
