"""Tokens of a row on the page: what is trained on, what only goes before it, and what is cut off."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_NEW_LINE = "\u21b5\n"  # shown where a token breaks the line


_STRONGEST = 0.6  # of a shade, so that the letters stay readable


def tokens(shown: Sequence[Mapping[str, Any]], numbers: Sequence[float] = ()) -> None:
    """Draw tokens of `tasks.language.view.shown_tokens`, each as far as it goes; nothing of them is markup.

    numbers: of the trained tokens in their order, which are shaded by them; the largest has the full shade.
    """
    trained = [i for i, token in enumerate(shown) if token["trained"]]
    values = dict(zip(trained, numbers, strict=False))
    most = max((*numbers, 1e-9))
    parts = [_token(token, values.get(i), most) for i, token in enumerate(shown)]
    st.html(f'<p class="oga oga-tokens" dir="auto">{"".join(parts)}</p>')


def heat_legend(what: str, most: float) -> None:
    """Say what the shades mean."""
    steps = [_shaded(f"{share * most:.3g}", share * most, most) for share in (0.0, 1 / 3, 2 / 3, 1.0)]
    words = f"{what[0].upper()}{what[1:]}"
    st.html(f'<p class="oga oga-tokens oga-legend">{html.escape(words)}: {" ".join(steps)}</p>')


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


def _token(token: Mapping[str, Any], number: float | None, most: float) -> str:
    text = html.escape(str(token["text"])).replace("\n", _NEW_LINE)
    if number is not None:
        return _shaded(text, number, most)
    kinds = ["cut"] if token["cut"] else ["trained" if token["trained"] else "context"]
    kinds += ["special"] if token["special"] else []
    return f'<span class="{" ".join(kinds)}">{text}</span>'


def _shaded(text: str, number: float, most: float) -> str:
    strength = min(1.0, max(0.0, number) / most) * _STRONGEST
    return f'<span style="background:rgba(217,72,28,{strength:.3f})" title="{number:.3g}">{text}</span>'
