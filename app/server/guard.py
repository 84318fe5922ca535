"""What stands before Streamlit: known hosts and origins only, who is signed in, how much may be uploaded, headers."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oga_app.server import sign_in
from oga_app.server.page import with_script
from oga_app.server.sign_in import SIGN_IN, SIGN_OUT, SignIn
from oga_app.server.uploads import ROOM, Refusal
from oga_core.errors import OgaError

ACCOUNT_HEADER = "x-oga-account"
_HEALTH = "/_stcore/health"
_UPLOAD = re.compile(r"/_stcore/upload_file/(?P<session>[^/]*)/(?P<file>.*)")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_log = logging.getLogger(__name__)

# Pages hold inline styles and scripts, Streamlit's and ours, and Plotly and its workers start from blobs. Nothing comes
# from another site, and no other site may frame a page but, where that was asked for, a notebook on this machine.
_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


_FRAMING = "frame-ancestors http://localhost:* http://127.0.0.1:* https://localhost:* vscode-webview:"
"""Where notebooks of this machine are shown: Jupyter's own port is not known beforehand."""


class Guard:
    """ASGI middleware. hosts: names that this server answers to; door: None where nobody needs to sign in.

    in_frame: whether a notebook on this machine may show the pages in a frame.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], door: SignIn | None = None, *, in_frame: bool = False):
        self.app = app
        self.door = door
        self.headers = framed(_HEADERS) if in_frame else _HEADERS
        self.hosts = frozenset(name.lower() for name in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass, and hand on the rest with the name of the account."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        send = _with_headers(self.headers, send) if scope["type"] == "http" else send
        if reason := self._unwelcome(connection):
            await _refuse(scope, receive, send, 403, reason)
            return
        headers = MutableHeaders(scope=scope)
        del headers[ACCOUNT_HEADER]  # a client's own word for who it is
        account = ""
        if self.door is not None and scope["path"] != _HEALTH:
            if scope["type"] == "http" and scope["path"] in (SIGN_IN, SIGN_OUT):
                await (await self.door.respond(Request(scope, receive)))(scope, receive, send)
                return
            try:
                account = self.door.account(connection.cookies) or ""
            except OgaError as error:  # the accounts file is gone or damaged: nobody comes in
                await _refuse(scope, receive, send, 503, str(error).split(". ")[0])
                return
            if not account:
                await self._ask(scope, receive, send)
                return
            headers[ACCOUNT_HEADER] = account.encode().hex()
        if scope["type"] == "http" and (upload := _UPLOAD.fullmatch(scope["path"])):
            await self._upload(upload["session"], upload["file"], account, scope, receive, send)
        else:
            await self.app(scope, receive, with_script(scope, send))

    def _unwelcome(self, connection: HTTPConnection) -> str:
        """Why a request is refused whoever sends it; empty where it is not."""
        host = connection.headers.get("host", "")
        if _hostname(host) not in self.hosts:
            return "This dashboard is not known by that name."
        origin = connection.headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign and (connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE_METHODS):
            return "Another site may not talk to this dashboard."
        return ""

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await _refuse(scope, receive, send, 401, "Sign in first.")
        else:
            await sign_in.ask(Request(scope))(scope, receive, send)

    async def _upload(self, session: str, file: str, account: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a file in where its session may have it, and remember how much it takes."""
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        arrives = scope["method"] == "PUT"
        try:
            if arrives:
                ROOM.admit(session, file, account, HTTPConnection(scope).headers.get("content-length"))
            elif scope["method"] == "DELETE":
                ROOM.remove(session, file, account)
        except Refusal as refusal:
            await _refuse(scope, receive, send, refusal.status, str(refusal))
            return
        try:
            await self.app(scope, receive, watched)
        finally:
            if arrives:
                ROOM.arrived(session, file, whole=200 <= status < 300)


def _hostname(host: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def framed(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with which a notebook on this machine may show a page in a frame."""
    policy = headers["Content-Security-Policy"].replace("frame-ancestors 'none'", _FRAMING)
    rest = {name: value for name, value in headers.items() if name != "X-Frame-Options"}
    return rest | {"Content-Security-Policy": policy}


def _with_headers(wanted: Mapping[str, str], send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in wanted.items():
                headers[name] = value
        await send(message)

    return sent


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    client = scope.get("client") or ("",)
    _log.warning("refused %s from %s: %s", scope["path"][:200].encode("unicode_escape").decode(), client[0], reason)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
    else:
        await PlainTextResponse(reason, status)(scope, receive, send)
