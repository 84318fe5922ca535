"""The login of a dashboard that others reach through the network."""

from __future__ import annotations

import time

import streamlit as st

from oga_app import state
from oga_app.elements import messages
from oga_app.server.accounts import Accounts
from oga_app.server.settings import Settings

_DELAY_AFTER_A_WRONG_PASSWORD = 1.0


def passed(settings: Settings) -> bool:
    """Whether this session may see the pages; draws the form where it may not."""
    if settings.accounts is None or state.memory("signed_in", ""):
        return True
    messages.title("OGA", "Sign in to review.")
    with st.form("login", width=360):
        name = st.text_input("Name", autocomplete="username", max_chars=60)
        password = st.text_input("Password", type="password", autocomplete="current-password", max_chars=200)
        sent = st.form_submit_button("Sign in", type="primary")
    if sent:
        messages.guarded(_sign_in)(settings, name.strip(), password)
    return False


def _sign_in(settings: Settings, name: str, password: str) -> None:
    assert settings.accounts is not None
    if not Accounts(settings.accounts).accepts(name, password):
        time.sleep(_DELAY_AFTER_A_WRONG_PASSWORD)
        messages.problem("The name or the password is wrong. Whoever started the dashboard can set a new one.")
        return
    state.remember("signed_in", name)
    st.rerun()
