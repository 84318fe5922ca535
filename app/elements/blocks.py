"""Blocks of a page that are made of a person's own data: samples and classes, every text of them escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

_LONGEST = 400  # characters of a text before it is scored


def samples(shown: Sequence[Mapping[str, Any]]) -> None:
    """Pictures side by side, texts one below another; each with its label."""
    kind = "oga-pictures" if any(sample["image"] for sample in shown) else "oga-texts"
    st.html(f'<ul class="oga {kind}">{"".join(map(_sample, shown))}</ul>')


def classes(counts: Sequence[tuple[str, int]], *, n_more: int = 0) -> None:
    """The classes in their order, numbered as the model's outputs are, with the number of samples of each."""
    items = [
        f'<li><i>{number}</i> <span dir="auto">{html.escape(name)}</span> <b>{count:,}</b></li>'
        for number, (name, count) in enumerate(counts)
    ]
    more = f"<li>and {n_more:,} more</li>" if n_more > 0 else ""
    st.html(f'<ol class="oga oga-classes">{"".join(items)}{more}</ol>')


def _sample(sample: Mapping[str, Any]) -> str:
    label = f'<b dir="auto">{html.escape(str(sample["label"]))}</b>' if sample["label"] is not None else ""
    if sample["image"]:
        look = ' class="pixelated"' if sample["pixelated"] else ""
        return f'<li><img{look} src="{html.escape(sample["image"])}" alt="">{label}</li>'
    return f'<li>{label}<span dir="auto">{html.escape(_words(sample))}</span></li>'


def _words(sample: Mapping[str, Any]) -> str:
    pairs = [*sample["messages"], *sample["pair"]]
    texts = [sample["unreadable"], sample["text"], sample["text_pair"], *(f"{name}: {text}" for name, text in pairs)]
    words = " · ".join(filter(None, texts))
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
