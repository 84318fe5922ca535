"""Streamlit's scripts that nearly every page asks for once it is drawn, named to the browser with the page itself.

Its own page names what it starts with. What draws an element comes after that has run, has asked the server and has
been answered; named beforehand, it is fetched and compiled meanwhile.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from streamlit.file_util import get_static_dir

_ELEMENTS = ("BidiComponent", "ButtonGroup", "Html", "Selectbox")
_IMPORT = re.compile(r'(?:from|import)\s*"\./([\w.-]+\.js)"')


@cache
def link() -> str:
    """Return the value of a page's Link header; empty where this Streamlit names its scripts otherwise."""
    folder = Path(get_static_dir()) / "static" / "js"
    page = (Path(get_static_dir()) / "index.html").read_text(encoding="utf-8")
    scripts: set[str] = set()
    for name in _ELEMENTS:
        for path in folder.glob(f"{name}.*.js"):
            _add(path, scripts)
    return ", ".join(f"<./static/js/{name}>; rel=modulepreload" for name in sorted(scripts) if name not in page)


def _add(path: Path, scripts: set[str]) -> None:
    """Add the script and what it imports to `scripts`."""
    if path.name in scripts or not path.is_file():
        return
    scripts.add(path.name)
    for name in _IMPORT.findall(path.read_text(encoding="utf-8")):
        _add(path.with_name(name), scripts)
