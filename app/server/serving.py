"""Starts the dashboard's server, on this machine only where nobody needs to sign in."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

import oga_app
from oga_app.server.accounts import Accounts
from oga_app.server.guard import ACCOUNT_HEADER
from oga_app.server.settings import Settings
from oga_app.server.uploads import MAX_FILE_MB
from oga_core.errors import OgaError
from oga_core.files import remove_leftovers
from oga_core.worker.inspection import jail_here

LOCAL = "127.0.0.1"
# One message between browser and server; what is large (maps, grids, uploads) goes by files instead.
_MAX_MESSAGE_MB = 50


def serve(
    run: Path | None,
    *,
    port: int,
    browser: bool,
    data_root: Path | None = None,
    reviewer: str | None = None,
    address: str = LOCAL,
    accounts: Path | None = None,
    allow_unjailed: bool = False,
    in_frame: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    """Run the dashboard until it is stopped; `run` is a run folder or a folder that holds some.

    meanwhile: work that goes on behind the running dashboard.
    in_frame: whether a notebook on this machine may show it in a frame.
    address: the name or number under which others reach this machine; then `accounts` is required.
    Raises `OgaError` where the folder does not exist, the port is taken, or the dashboard would be open to everybody.
    """
    if run is not None and not run.is_dir():
        raise OgaError(
            f"The run folder {str(run)!r} does not exist. Make one with: oga score DATA --model MODEL --run {run}"
        )
    if accounts is not None and reviewer is not None:
        raise OgaError("With --accounts decisions bear the name of the account. Leave --reviewer out.")
    if accounts is not None and in_frame:
        raise OgaError("A dashboard with accounts is not shown in a frame. Leave --in-frame out.")
    _require_login(address, accounts)
    _require_free(address, port)
    script = Path(oga_app.__file__).with_name("asgi_app.py")
    arguments = ["--run", str(run.resolve())] if run else []
    arguments += ["--data-root", str(data_root.resolve())] if data_root else []
    arguments += ["--reviewer", reviewer] if reviewer else []
    arguments += ["--accounts", str(accounts.resolve())] if accounts else []
    arguments += ["--allow-unjailed"] if allow_unjailed else []
    arguments += ["--in-frame"] if in_frame else []
    for folder in Settings.parse(arguments).runs():
        remove_leftovers(folder)
    flags = _flags(address, port, shared=accounts is not None)
    command = [sys.executable, "-m", "streamlit", "run", str(script), *flags, "--", *arguments]
    print(f"The dashboard is at http://{address}:{port} (stop it with Ctrl+C)", file=sys.stderr, flush=True)
    process = subprocess.Popen(command, env={**os.environ, "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"})
    threading.Thread(target=_warn_of_holes, args=(accounts is not None and not allow_unjailed,), daemon=True).start()
    threading.Thread(target=meanwhile, daemon=True).start()
    if browser:
        threading.Thread(target=_open_browser, args=(f"http://{address}:{port}", process), daemon=True).start()
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait(timeout=10)
        return
    if status:
        raise RuntimeError(f"the dashboard stopped with status {status}")


def _flags(address: str, port: int, *, shared: bool) -> list[str]:
    """What keeps the dashboard on this machine; the look is in .streamlit/config.toml beside the script."""
    options = {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.maxUploadSize": MAX_FILE_MB,
        "server.maxMessageSize": _MAX_MESSAGE_MB,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
    }
    if shared:
        options["server.trustedUserHeaders"] = json.dumps({ACCOUNT_HEADER: "account"})
    hosts = [f"--server.allowedHosts={name}" for name in sorted({"localhost", LOCAL, address})]
    return [
        f"--{name}={str(value).lower() if value is True or value is False else value}"
        for name, value in options.items()
    ] + hosts


def _open_browser(url: str, process: subprocess.Popen[bytes]) -> None:
    """Open the dashboard as soon as it answers."""
    while process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=5).close()
            webbrowser.open(url)
            return
        time.sleep(0.2)


def _warn_of_holes(is_closed: bool) -> None:
    """Say on the command line which layers the jail of this machine lacks, as the Run page does."""
    missing = jail_here()["missing"]
    for sentence in missing:
        print(f"oga: Warning: {sentence}", file=sys.stderr, flush=True)
    if missing and is_closed:
        print(
            "oga: Warning: So this shared dashboard scores, shows and exports no data. Start it with --allow-unjailed "
            "to allow that nevertheless.",
            file=sys.stderr,
            flush=True,
        )


def _require_login(address: str, accounts: Path | None) -> None:
    if accounts is not None:
        Accounts(accounts)
    elif address not in (LOCAL, "localhost"):
        raise OgaError(
            f"On {address} everybody in the network could see the data. Make accounts with: oga account FILE NAME, "
            "then start with --accounts FILE."
        )


def _require_free(address: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise OgaError(f"The port must be 1 to 65535, got {port}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except socket.gaierror:
            raise OgaError(
                f"{address!r} is no address of this machine. Give its name or number in the network."
            ) from None
        except OSError as error:
            raise OgaError(f"{address}:{port} cannot be used: {error.strerror}. Choose another --port.") from None
