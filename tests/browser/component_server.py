"""Starts, kills and restarts the server of component_page.py."""

from __future__ import annotations

import copy
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

PAGE = Path(__file__).with_name("component_page.py")


class Server:
    """`streamlit run` of a script on a port of its own, with what it needs in the environment."""

    def __init__(self, script: Path, folder: Path, **environment: str):
        self.script, self.folder = script, folder
        self.store = "review"
        self.environment = {**os.environ, "PAGE_FOLDER": str(folder), "OMP_NUM_THREADS": "1", **environment}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def fresh(self) -> Server:
        """The same server, for a review of its own."""
        other = copy.copy(self)
        other.store = uuid.uuid4().hex
        return other

    def start(self) -> Server:
        """Start, and wait until it answers."""
        options = {
            "server.port": self.port, "server.address": "127.0.0.1", "server.headless": "true",
            "server.fileWatcherType": "none", "browser.gatherUsageStats": "false", "client.toolbarMode": "minimal",
        }  # fmt: skip
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with (self.folder / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "streamlit", "run", str(self.script), *flags]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return self
            except OSError:
                time.sleep(0.1)
        raise TimeoutError((self.folder / "server.log").read_text())

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()
