"""The real server of the dashboard, and a visitor that speaks its protocol as a browser does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect


class Server:
    """The dashboard over one folder of runs, on a free port; it can be killed and started again.

    scratch: where it puts temporary files, by default where the system does. under: a program that runs it, with
    arguments.
    """

    def __init__(self, folder: Path, *flags: str, scratch: Path | None = None, under: Sequence[str] = ()):
        self.folder, self.flags, self.under = folder, flags, under
        self.environment = {**os.environ, **({} if scratch is None else {"TMPDIR": str(scratch)})}
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def _is_free(self) -> bool:
        """Whether the port is free within a few seconds: processes of a killed server may hold it that long."""
        for _ in range(50):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    probe.bind(("127.0.0.1", self.port))
                    return True
            time.sleep(0.1)
        return False

    def start(self) -> None:
        """Start it where it was before, so that a browser finds it, unless another program has taken the port."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", self.port if self._is_free() else 0))
            self.port = probe.getsockname()[1]
        command = [*self.under, sys.executable, "-m", "oga_app.cli", "app", str(self.folder), "--no-browser"]
        command += ["--port", str(self.port), *self.flags]
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=self.environment)
        log.close()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server did not start: {self.log[-2000:]}")

    def kill(self) -> None:
        """Kill the server and all its processes at once, as a crash would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Visitor:
    """One browser tab without the browser: cookies, a socket, and what the page drew last."""

    def __init__(self, server: Server):
        self.server = server
        self.cookies: dict[str, str] = {}
        self.socket: ClientConnection | None = None
        self.session = ""
        self.drawn: list[Any] = []

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Send a request without following where it leads; cookies are kept."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection.request(method, path, body, {"Cookie": cookies, **(headers or {})})
        answer = connection.getresponse()
        for line in answer.headers.get_all("set-cookie") or ():
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        answer.content = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def sign_in(self, name: str, password: str, page: str = "/", **headers: str) -> http.client.HTTPResponse:
        """Fill in the form that leads to `page`."""
        body = urlencode({"name": name, "password": password}).encode()
        sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self.ask("POST", f"/sign-in?next={quote(page, safe='')}", body, sent)

    def connect(self, resume: str = "", **headers: str) -> None:
        """Open the socket; `resume` is the id of a session to come back to."""
        self.ask("GET", "/_stcore/health")
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        protocols = ["streamlit", self.cookies["_streamlit_xsrf"], *([resume] if resume else [])]
        sent = {"Cookie": cookies, "Origin": self.server.url, **headers}
        origin = sent.pop("Origin")
        self.socket = connect(
            f"ws://127.0.0.1:{self.server.port}/_stcore/stream",
            subprotocols=protocols,  # type: ignore[arg-type]
            additional_headers=sent,
            origin=origin or None,  # type: ignore[arg-type]
            max_size=None,
            legacy=True,
        )

    def visit(self, page: str, **query: str) -> None:
        """Open a page and wait until it is drawn."""
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = urlencode(query)
        self.send(message)

    def send(self, message: BackMsg) -> None:
        """Send a message and wait for the end of the run it starts."""
        assert self.socket is not None
        self.socket.send(message.SerializeToString())
        self.drawn = []
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(self.socket.recv(timeout=120))
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.session = answer.new_session.initialize.session_id
            elif kind == "delta":
                self.drawn.append(answer)
            # After an early end the page's own rerun, for example of another page, follows at once.
            elif kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return

    @property
    def text(self) -> str:
        """All that the page drew, as text."""
        return "\n".join(str(message.delta) for message in self.drawn)

    def component(self, name: str) -> tuple[Any, Any]:
        """The first component of this name, with the message that drew it."""
        for message in self.drawn:
            element = message.delta.new_element
            if element.WhichOneof("type") == "bidi_component" and element.bidi_component.component_name.endswith(name):
                return element.bidi_component, message
        raise AssertionError(f"the page has no {name}: {self.text[-2000:]}")

    def press(self, page: str, component: tuple[Any, Any], events: list[dict[str, Any]], **query: str) -> None:
        """Send presses as the review queue does."""
        content = {"events": {"events": events, "have": [], "attempt": uuid.uuid4().hex}}
        self.change(page, component, content, **query)

    def change(self, page: str, component: tuple[Any, Any], content: dict[str, Any], **query: str) -> None:
        """Send what a component says."""
        proto, message = component
        back = BackMsg()
        back.rerun_script.page_name = page
        back.rerun_script.query_string = urlencode(query)
        back.rerun_script.fragment_id = message.delta.fragment_id
        state = back.rerun_script.widget_states.widgets.add()
        state.id = proto.id
        state.json_value = json.dumps(content)
        self.send(back)

    def use(self, page: str, widgets: dict[str, str | bool], **query: str) -> None:
        """Use widgets as a browser does: by key the choice of a segmented control, or True for a press of a button.

        A key that the page has not drawn is sent under an id of its own making.
        """
        back = BackMsg()
        back.rerun_script.page_name = page
        back.rerun_script.query_string = urlencode(query)
        ids = [_id_of(message.delta.new_element) for message in self.drawn]
        for key, value in widgets.items():
            state = back.rerun_script.widget_states.widgets.add()
            state.id = next((name for name in ids if name.split("-", 2)[-1] == key), f"$$ID-{uuid.uuid4().hex}-{key}")
            if value is True:
                state.trigger_value = True
            else:
                state.string_array_value.data.append(value)
        self.send(back)

    def upload(self, session: str, file: str, content: bytes, **headers: str) -> int:
        """Send a file as the page's uploader does; returns the status."""
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
        sent = {"Content-Type": "multipart/form-data; boundary=x", "X-Xsrftoken": self.cookies["_streamlit_xsrf"]}
        path = f"/_stcore/upload_file/{session}/{file}"
        return self.ask("PUT", path, head + content + b"\r\n--x--\r\n", {**sent, **headers}).status

    def close(self) -> None:
        """Close the tab."""
        if self.socket is not None:
            self.socket.close()


def _id_of(element: Any) -> str:
    kind = element.WhichOneof("type")
    return str(getattr(getattr(element, kind), "id", "")) if kind else ""
