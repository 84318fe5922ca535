"""The dashboard of a run, started from Python: a frame in a notebook, a page in the browser elsewhere."""

from __future__ import annotations

import atexit
import socket
import subprocess
import sys
import time
import webbrowser
from dataclasses import dataclass
from html import escape
from pathlib import Path

from oga_core.errors import OgaError

_STARTS_WITHIN = 60.0  # seconds; importing Streamlit on a cold disk takes ten
_POLL = 0.2


@dataclass(frozen=True, eq=False)
class Dashboard:
    """A running dashboard; `stop` ends it, and so does the end of this process.

    url: its address on this machine. height: of its frame in a notebook, in pixels.
    """

    url: str
    height: int
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the dashboard; what was decided is on disk."""
        self.process.terminate()
        self.process.wait(timeout=10)

    def __repr__(self) -> str:
        state = "running" if self.process.poll() is None else "stopped"
        return f"Dashboard({self.url!r}, {state})"

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{escape(self.url)}?embed=true" width="100%" height="{self.height}" '
            f'title="OGA dashboard" style="border:0"></iframe>'
        )


def open_dashboard(run: Path, *, port: int | None = None, height: int = 800) -> Dashboard:
    """Start the dashboard of a run and return it once it answers; outside notebooks the browser opens it too.

    port: a free one by default. Raises `OgaError` where the dashboard is not installed or does not start.
    """
    port = _free_port(port or 0)
    command = [sys.executable, "-m", "oga_app.cli", "app", str(run), "--port", str(port), "--no-browser"]
    if in_notebook():
        command.append("--in-frame")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    atexit.register(process.terminate)
    dashboard = Dashboard(f"http://127.0.0.1:{port}", height, process)
    _wait(dashboard, port)
    if not in_notebook():
        webbrowser.open(dashboard.url)
    return dashboard


def in_notebook() -> bool:
    """Tell a Jupyter kernel, which shows frames, from a terminal or a script."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    return shell is not None and hasattr(shell, "kernel")


def _free_port(port: int) -> int:
    """Return the port if it is free, any free one for 0."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise OgaError(f"port {port} cannot be used: {error}. Leave it out to have a free one chosen.") from None
        return int(probe.getsockname()[1])


def _wait(dashboard: Dashboard, port: int) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline:
        if dashboard.process.poll() is not None:
            assert dashboard.process.stderr is not None
            words = dashboard.process.stderr.read().decode(errors="replace").strip()
            raise OgaError(f"The dashboard did not start: {words or 'it ended at once'}")
        with socket.socket() as probe:
            probe.settimeout(_POLL)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL)
    dashboard.stop()
    raise OgaError(f"The dashboard did not answer within {_STARTS_WITHIN:.0f} s. Start it with: oga app RUN")
