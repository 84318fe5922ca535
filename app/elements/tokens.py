"""Tokens of a row on the page: what is trained on, what only goes before it, and what is cut off."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_NEW_LINE = "\u21b5\n"  # shown where a token breaks the line


def tokens(shown: Sequence[Mapping[str, Any]]) -> None:
    """Draw tokens of `tasks.language.view.shown_tokens`, each as far as it goes; nothing of them is markup."""
    st.html(f'<p class="oga oga-tokens" dir="auto">{"".join(map(_token, shown))}</p>')


def legend(max_length: int) -> None:
    """Say what the marks mean."""
    marks = (
        ("trained", "trained on"),
        ("context", "seen, not trained on"),
        ("special", "special token"),
        ("cut", f"beyond {max_length:,} tokens: never seen"),
    )
    parts = "".join(f'<span class="{kind}">{html.escape(words)}</span> ' for kind, words in marks)
    st.html(f'<p class="oga oga-tokens oga-legend">{parts}</p>')


def _token(token: Mapping[str, Any]) -> str:
    kinds = ["cut"] if token["cut"] else ["trained" if token["trained"] else "context"]
    kinds += ["special"] if token["special"] else []
    text = html.escape(str(token["text"])).replace("\n", _NEW_LINE)
    return f'<span class="{" ".join(kinds)}">{text}</span>'
