"""The dashboard: page set-up, navigation, and the one place that turns errors into messages."""

from __future__ import annotations

import sys

import streamlit as st

from oga_app import state
from oga_app.elements import messages, theme
from oga_app.server.settings import Settings
from oga_app.views import compare, explore, export, frame, guide, login, review, run
from oga_app.views.language import ask


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config("OGA", layout="wide", initial_sidebar_state="collapsed")
    theme.apply()
    settings = Settings.parse(sys.argv[1:])
    if not messages.guarded(login.passed)(settings):
        return
    current = state.session(settings)
    current.let_go()
    pages = [
        st.Page(run.show, title="Run", url_path="run"),
        st.Page(explore.show, title="Explore", url_path="explore"),
        st.Page(review.show, title="Review", url_path="review"),
        st.Page(ask.show, title="Ask", url_path="ask", visibility="visible" if current.speaks else "hidden"),
        st.Page(compare.show, title="Compare", url_path="compare"),
        st.Page(export.show, title="Export", url_path="export"),
        st.Page(guide.show, title="Help", url_path="help"),
    ]
    # The default page has no path of its own, so that all others can be linked to.
    home = st.Page(
        lambda: st.switch_page(pages[current.run is not None]), title="OGA", default=True, visibility="hidden"
    )
    current.pages = {page.title: page for page in pages}
    page = st.navigation([home, *pages], position="top")
    if page is not home:
        state.write_address(current)
    frame.draw(current, page.title)
    if current.notice:
        messages.note(current.notice)
        current.notice = ""
    messages.guarded(page.run)()


main()
