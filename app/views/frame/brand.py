"""The product's name and the open run's in the header of every page, on a phone too."""

from __future__ import annotations

import html

import streamlit as st

from oga_app.state import Session

_LONGEST = 26  # characters of a run's name beside the links to the pages; a longer one is cut


def draw(current: Session) -> None:
    """Draw both over the header, with room for them before the links."""
    name = current.run.name if current.run else ""
    width = 5 + min(len(name), _LONGEST)
    run = f'<b dir="auto" title="{html.escape(name)}">{html.escape(name)}</b>' if name else ""
    st.html(f"<style>:root {{ --oga-brand: {width}ch; }}</style>")
    st.html(f'<p class="oga-brand">OGA {run}</p>')
