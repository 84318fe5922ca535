"""Starts the Streamlit server on this machine only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import oga_app
from oga_core.errors import OgaError

_HOST = "127.0.0.1"


def serve(
    run: Path | None,
    *,
    port: int,
    browser: bool,
    data_root: Path | None = None,
    reviewer: str | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Run the dashboard until it is stopped; `run` is a run folder or a folder that holds some.

    meanwhile: work that goes on behind the running dashboard.

    Raises `OgaError` where the folder does not exist or the port is taken.
    """
    if run is not None and not run.is_dir():
        raise OgaError(
            f"The run folder {str(run)!r} does not exist. Make one with: oga score DATA --model MODEL --run {run}"
        )
    _require_free(port)
    script = Path(oga_app.__file__).with_name("streamlit_app.py")
    arguments = ["--run", str(run.resolve())] if run else []
    arguments += ["--data-root", str(data_root.resolve())] if data_root else []
    arguments += ["--reviewer", reviewer] if reviewer else []
    command = [sys.executable, "-m", "streamlit", "run", str(script), *_flags(port, browser), "--", *arguments]
    print(f"The dashboard is at http://{_HOST}:{port} (stop it with Ctrl+C)", file=sys.stderr, flush=True)
    process = subprocess.Popen(command, env={**os.environ, "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"})
    threading.Thread(target=meanwhile, daemon=True).start()
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait(timeout=10)
        return
    if status:
        raise RuntimeError(f"the dashboard stopped with status {status}")


def _flags(port: int, browser: bool) -> list[str]:
    """What keeps the dashboard on this machine; the look is in .streamlit/config.toml beside the script."""
    options = {
        "server.address": _HOST,
        "server.port": port,
        "server.headless": not browser,
        "server.maxUploadSize": 200,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
    }
    hosts = [f"--server.allowedHosts={name}" for name in ("localhost", _HOST)]
    return [
        f"--{name}={str(value).lower() if value is True or value is False else value}"
        for name, value in options.items()
    ] + hosts


def _require_free(port: int) -> None:
    if not 1 <= port <= 65535:
        raise OgaError(f"The port must be 1 to 65535, got {port}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            raise OgaError(f"Port {port} is taken. Choose another one with --port.") from None
