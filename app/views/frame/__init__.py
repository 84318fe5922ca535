"""What stands around every page: product and run in the header, the tour, and what to say when the server is gone."""

from __future__ import annotations

import streamlit as st

from oga_app.components.frame import connection
from oga_app.elements import messages
from oga_app.state import Session
from oga_app.views.frame import brand, tour


def draw(current: Session, page: str) -> None:
    """Draw it for the page of this title."""
    with st.container(key="frame"):
        brand.draw(current)
        connection.watch()
    messages.guarded(tour.draw)(current, page)
