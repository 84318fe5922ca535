"""Words on the page: titles, figures, empty and failed states. All of it is plain text, never Markdown."""

from __future__ import annotations

import functools
import html
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from oga_app.elements.wording import page_words
from oga_core.errors import OgaError
from oga_core.runs.words import CERTAIN

_log = logging.getLogger(__name__)
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: object) -> str:
    """Escape Markdown, for the labels of widgets that Streamlit would read as Markdown."""
    return _MARKUP.sub(r"\\\1", str(text))


def percent(share: float, digits: int = 1) -> str:
    """A share of 0 to 1 in words, the sign on the same line as the number."""
    return f"{100 * share:.{digits}f}\u00a0%"


def chance(share: float) -> str:
    """How likely a label is wrong, in words: as nothing that is estimated is sure, none is told beyond 99 %."""
    if share > CERTAIN:
        return f"over {percent(CERTAIN, 0)}"
    return f"under {percent(1 - CERTAIN, 0)}" if share < 1 - CERTAIN else percent(share, 0)


def counted(count: int, one: str, many: str) -> str:
    """A number with the noun that fits it."""
    return f"{count:,} {one if count == 1 else many}"


def title(text: str, about: str = "") -> None:
    """The page's title with one quiet line."""
    st.html(_block("h1", "", text) + (_block("p", "oga-quiet", about) if about else ""))


def section(text: str, about: str = "") -> None:
    """The title of a part of the page."""
    st.html(_block("h2", "", text) + (_block("p", "oga-quiet", about) if about else ""))


def heading(text: str, level: str = "h2") -> None:
    """A title of the level, as narrow as its words, so that something can stand beside it."""
    st.html(_block(level, "", text), width="content")


def quiet(text: str) -> None:
    """A line of secondary text."""
    _words("p", "oga-quiet", text)


def prose(text: str) -> None:
    """A paragraph that may hold anything, shown as it is."""
    _words("p", "", text)


def link(text: str, address: str) -> None:
    """A link to another page of this server, in the same tab."""
    st.html(f'<a class="oga" href="{html.escape(address)}" target="_self">{html.escape(text)}</a>')


@dataclass(frozen=True)
class Figure:
    """A number with its name and a quiet line; `flagged` gives it the accent colour."""

    label: str
    value: str
    about: str = ""
    flagged: bool = False

    def html(self) -> str:
        """The figure as a block of the row that `figures` makes."""
        number = _block("p", f"oga-figure{' flagged' if self.flagged else ''}", self.value)
        return f"<div>{_block('p', 'oga-quiet', self.label)}{number}{_block('p', 'oga-quiet', self.about)}</div>"


def figures(*shown: Figure) -> None:
    """A row of figures that wraps where the page is narrow."""
    st.html(f'<div class="oga-figures">{"".join(figure.html() for figure in shown)}</div>')


def problem(text: str) -> None:
    """Something failed; the text says what, and what to do."""
    _words("div", "oga-problem", page_words(text), 'role="alert"')


def note(text: str) -> None:
    """Something worth knowing."""
    _words("div", "oga-note", page_words(text))


def empty(text: str) -> None:
    """There is nothing to show yet, and how to change that."""
    _words("div", "oga-empty", page_words(text))


def guarded(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Show what a person can fix as a message, and anything else as our fault, without a traceback."""

    @functools.wraps(draw)
    def shown(*args: Any, **kwargs: Any) -> Any:
        try:
            return draw(*args, **kwargs)
        except OgaError as error:
            problem(str(error))
        except Exception as error:
            _log.exception("a page failed")
            problem(
                f"This part of the page failed, which is a fault in oga: {type(error).__name__}. "
                "Your decisions are safe. The server's log has the details."
            )
        return None

    return shown


def _words(tag: str, kind: str, text: str, attributes: str = "") -> None:
    st.html(_block(tag, kind, text, attributes))


def _block(tag: str, kind: str, text: str, attributes: str = "") -> str:
    return f'<{tag} class="oga {kind}" dir="auto" {attributes}>{html.escape(text)}</{tag}>'
