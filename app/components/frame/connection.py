"""Says in our own words that the server does not answer, in place of Streamlit's."""

from __future__ import annotations

from oga_app.components import assets

_SCRIPT = "frame/connection.js"
_mount = assets.register(_SCRIPT)


def watch() -> None:
    """Watch over the page that is drawn."""
    _mount(key="connection", data={"module": assets.module_url(_SCRIPT)}, height=1)
