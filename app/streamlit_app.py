"""The dashboard: page set-up, navigation, and the one place that turns errors into messages."""

from __future__ import annotations

import sys

import streamlit as st

from oga_app import state
from oga_app.elements import messages, theme
from oga_app.server.settings import Settings
from oga_app.views import login


def _run() -> None:
    from oga_app.views import run

    run.show()


def _explore() -> None:
    from oga_app.views import explore

    explore.show()


def _review() -> None:
    from oga_app.views import review

    review.show()


def _ask() -> None:
    from oga_app.views.language import ask

    ask.show()


def _compare() -> None:
    from oga_app.views import compare

    compare.show()


def _export() -> None:
    from oga_app.views import export

    export.show()


def _guide() -> None:
    from oga_app.views import guide

    guide.show()


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config("OGA", layout="wide", initial_sidebar_state="collapsed")
    theme.apply()
    settings = Settings.parse(sys.argv[1:])
    if not messages.guarded(login.passed)(settings):
        return
    current = state.session(settings)
    pages = [
        st.Page(_run, title="Run", url_path="run"),
        st.Page(_explore, title="Explore", url_path="explore"),
        st.Page(_review, title="Review", url_path="review"),
        st.Page(_ask, title="Ask", url_path="ask", visibility="visible" if current.speaks else "hidden"),
        st.Page(_compare, title="Compare", url_path="compare"),
        st.Page(_export, title="Export", url_path="export"),
        st.Page(_guide, title="Help", url_path="help"),
    ]
    # The default page has no path of its own, so that all others can be linked to.
    home = st.Page(
        lambda: st.switch_page(pages[current.run is not None]), title="OGA", default=True, visibility="hidden"
    )
    current.pages = {page.title: page for page in pages}
    page = st.navigation([home, *pages], position="top")
    if page is not home:
        state.write_address(current)
    if current.notice:
        messages.note(current.notice)
        current.notice = ""
    messages.guarded(page.run)()


main()
