"""What one browser session holds; the only file that touches `st.session_state` for the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.scriptrunner import get_script_run_ctx

from oga_app.server.settings import Settings
from oga_core.errors import OgaError
from oga_core.review.filters import Filters
from oga_core.runs.info import RunInfo
from oga_core.runs.scored import ScoredRun

_KEY = "oga_session"


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows to review that another page has chosen, most telling first, and what they are in words after a number."""

    words: str
    rows: NDArray[np.int64]


@dataclass
class Session:
    """The open run and how it is looked at. The run, score, threshold and filters are also in the address.

    flagged: how many of the highest scores are flagged; None = the run's suggestion.
    own_name: what the person typed as a name, where nobody signs in.
    stale: a callback changed something that other parts of the page show. pages: the pages by title.
    removed: how often a filter was taken away; tables whose rows filter are then drawn without their selection.
    done: the last step on many samples, to say so and to take it back. batch: what to review instead of the flagged.
    """

    settings: Settings
    run: Path | None = None
    score: str | None = None
    flagged: int | None = None
    filters: Filters = field(default_factory=Filters)
    opened: str | None = None
    own_name: str = ""
    notice: str = ""
    stale: bool = False
    pages: dict[str, Any] = field(default_factory=dict)
    removed: int = 0
    done: Any = None
    batch: Batch | None = None

    @property
    def speaks(self) -> bool:
        """Whether the open run is of a language model."""
        try:
            return self.run is not None and RunInfo.read(self.run / "run.json").modality == "causal_lm"
        except OgaError:  # the page says what is wrong with the run
            return False

    @property
    def reviewer(self) -> str:
        """The name written to decisions: the account's; without accounts the one given at the start, or typed."""
        return account() or self.settings.reviewer or self.own_name or "me"

    def open(self, run: Path) -> None:
        """Show another run, from its own defaults."""
        self.close()
        self.run = run

    def close(self) -> None:
        """Show no run."""
        self.run = None
        self.score = None
        self.flagged = None
        self.filters = Filters()
        self.opened = None
        self.stale = True
        self.done = None
        self.batch = None

    def let_go(self) -> None:
        """Close the open run where it is not there any more, and say so."""
        if self.run is not None and not self.run.exists():
            self.notice = f"The run {self.run.name} is not there any more: it was deleted or renamed in another place."
            self.close()

    def score_of(self, data: ScoredRun) -> str:
        """The score that ranks the samples: the chosen one, else the run's default."""
        return self.score if self.score in data.scores else data.default_score

    def flagged_of(self, data: ScoredRun) -> int:
        """How many samples are flagged."""
        if self.flagged is None:
            return data.ranked(self.score_of(data)).count(data.trim_fraction())
        return min(max(self.flagged, 0), len(data))

    def set_flagged(self, count: int) -> None:
        """Move the threshold."""
        self.flagged = int(count)
        self.stale = True

    def set_filters(self, filters: Filters) -> None:
        """Restrict what all views show."""
        self.filters = filters
        self.stale = True

    def drop_filter(self, name: str | None = None) -> None:
        """Take one restriction away, or all."""
        self.removed += 1
        self.set_filters(self.filters.without(name) if name else Filters())

    def open_sample(self, sample_id: str) -> None:
        """Show one sample in detail."""
        self.opened = sample_id
        self.stale = True

    def go(self, title: str) -> None:
        """Leave for another page."""
        st.switch_page(self.pages[title])

    def take_stale(self) -> bool:
        """Whether something changed since the page was drawn; asking resets it."""
        stale = self.stale
        self.stale = False
        return stale


def account() -> str:
    """The name that the person signed in with, here or by Streamlit's own sign-in; empty where nobody needs to."""
    signed_in = st.user.get("account")
    if signed_in:
        return bytes.fromhex(str(signed_in)).decode()
    if getattr(st.user, "is_logged_in", False):
        return str(st.user.get("email") or st.user.get("name") or "")
    return ""


def session(settings: Settings | None = None) -> Session:
    """The session of this browser tab, made from the address on its first run."""
    if _KEY not in st.session_state:
        if settings is None:
            raise RuntimeError("the session begins with the settings")
        st.session_state[_KEY] = _from_address(settings)
    current: Session = st.session_state[_KEY]
    return current


def id_of_tab() -> str:
    """Streamlit's name for this browser tab's session; it is known to this tab only."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def memory(name: str, default: Any) -> Any:
    """A place of its own for a page that outlives the page being left."""
    return st.session_state.setdefault(f"oga_{name}", default)


def remember(name: str, value: Any) -> None:
    """Write what `memory` returns."""
    st.session_state[f"oga_{name}"] = value


def chosen_in(widget: str) -> Any:
    """What is selected in a table or chart, for its callback."""
    return st.session_state[widget].selection


def choose(widget: str, value: Any) -> None:
    """Set a widget's value before it is drawn, from a callback or further up the page."""
    st.session_state[widget] = value


def default(widget: str, value: Any) -> None:
    """Set a widget's value where it has none yet: what `choose` sets must not meet another default."""
    st.session_state.setdefault(widget, value)


def choose_among(widget: str, options: Sequence[Any]) -> None:
    """Forget what a widget was set to where it is not among its options any more."""
    if st.session_state.get(widget) not in options:
        st.session_state.pop(widget, None)


def value_of(widget: str) -> Any:
    """What a widget was changed to, for its callback."""
    return st.session_state[widget]


def write_address(current: Session) -> None:
    """Put run, score, threshold and filters into the address, so that a reload or a link finds them."""
    wanted = {
        "run": current.run.name if current.run else "",
        "score": current.score or "",
        "flagged": "" if current.flagged is None else str(current.flagged),
        "filters": current.filters.to_json(),
    }
    for name, value in wanted.items():
        if value and st.query_params.get(name) != value:
            st.query_params[name] = value
        elif not value and name in st.query_params:
            del st.query_params[name]


def _from_address(settings: Settings) -> Session:
    address = st.query_params
    current = Session(settings)
    try:
        current.run = settings.named(address["run"]) if "run" in address else settings.only
        current.filters = Filters.from_json(address.get("filters", ""))
    except OgaError as error:
        current.notice = str(error)
    current.score = address.get("score")
    count = address.get("flagged", "")
    current.flagged = int(count) if count.isdecimal() and len(count) < 12 else None
    return current
