"""Signing in: a form of plain HTML before anything of the dashboard is served, and a signed cookie after it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import logging
import math
import time
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from oga_app.server.accounts import Accounts
from oga_app.server.attempts import LONGEST_FOR_ADDRESS, LONGEST_FOR_NAME, Attempts

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
_log = logging.getLogger(__name__)
_PAGE = Path(__file__).with_name("sign_in.html")
# A working day; the browser forgets the cookie earlier where it is closed.
_SECONDS = 12 * 3600
_MAX_BODY = 8192
_MAX_NAME = 60
_MAX_PASSWORD = 200


class SignIn:
    """The form at `SIGN_IN` and the cookie that it gives; `port` keeps the cookies of two dashboards apart."""

    def __init__(self, accounts: Path, port: int):
        self.path = accounts
        self.cookie = f"oga_account_{port}"
        self._names = Attempts(LONGEST_FOR_NAME)
        self._addresses = Attempts(LONGEST_FOR_ADDRESS)
        # One password is checked at a time: each takes 128 MiB, and guesses sent together must wait like any others.
        self._checking = asyncio.Lock()

    def account(self, cookies: dict[str, str]) -> str | None:
        """The name that a request's cookie is signed for, None where it is not, no longer, or not any more."""
        try:
            encoded, issued, signature = cookies.get(self.cookie, "").split(".")
            name = bytes.fromhex(encoded).decode()
            age = time.time() - int(issued)
        except ValueError:
            return None
        key = Accounts(self.path).key(name)
        if key is None or not 0 <= age < _SECONDS:
            return None
        return name if hmac.compare_digest(_signature(key, encoded, issued), signature) else None

    async def respond(self, request: Request) -> Response:
        """Show the form, sign in, or sign out."""
        if request.url.path == SIGN_OUT:
            response = RedirectResponse(SIGN_IN, 303)
            response.delete_cookie(self.cookie)
            return response
        target = local(request.query_params.get("next", ""))
        if request.method == "GET":
            return _form(target)
        if request.method != "POST":
            return Response(status_code=405)
        fields = await _fields(request)
        return await self._sign_in(request, fields.get("name", ""), fields.get("password", ""), target)

    async def _sign_in(self, request: Request, name: str, password: str, target: str) -> Response:
        name = name.strip()[:_MAX_NAME]
        address = request.client.host if request.client else ""
        async with self._checking:
            wait = max(self._names.wait(name), self._addresses.wait(address))
            if wait:
                return _form(target, name, f"Too many wrong passwords. Try again in {math.ceil(wait)} s.", 429)
            accounts = Accounts(self.path)
            accepted = await asyncio.to_thread(accounts.sign_in, name, password[:_MAX_PASSWORD])
            if not accepted:
                count = max(self._names.failed(name), self._addresses.failed(address))
                _log.warning("sign-in failed: name %r from %s, failure %d in a row", name, address, count)
                advice = "Whoever started the dashboard can set a new one."
                return _form(target, name, f"The name or the password is wrong. {advice}", 401)
        self._names.succeeded(name)
        self._addresses.succeeded(address)
        response = RedirectResponse(target, 303)
        secure = request.url.scheme == "https"
        # Lax, not strict: a link to a page of the dashboard must not ask for the password again.
        response.set_cookie(self.cookie, self._token(name), _SECONDS, httponly=True, samesite="lax", secure=secure)
        return response

    def _token(self, name: str) -> str:
        encoded = name.encode().hex()
        issued = str(int(time.time()))
        key = Accounts(self.path).key(name)
        assert key is not None, "the password of this account was accepted just now"
        return f"{encoded}.{issued}.{_signature(key, encoded, issued)}"


def ask(request: Request) -> Response:
    """Send a browser to the form, which returns to the page asked for; refuse everything that is no page."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        page = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': page})}", 303)
    return Response("Sign in first.", 401, media_type="text/plain")


def local(target: str) -> str:
    """The target where it is a page of this dashboard, else the start page."""
    inside = target.startswith("/") and not target.startswith(("//", "/\\", SIGN_IN, SIGN_OUT))
    return target if inside and target.isprintable() else "/"


def _signature(key: bytes, encoded: str, issued: str) -> str:
    return hmac.new(key, f"{encoded}.{issued}".encode(), hashlib.sha256).hexdigest()


async def _fields(request: Request) -> dict[str, str]:
    """The fields of the form; none where the body is not one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            return {}
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _form(target: str, name: str = "", problem: str = "", status: int = 200) -> HTMLResponse:
    content = Template(_PAGE.read_text(encoding="utf-8")).substitute(
        action=html.escape(f"{SIGN_IN}?{urlencode({'next': target})}"),
        name=html.escape(name),
        problem=f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else "",
    )
    return HTMLResponse(content, status, headers={"Cache-Control": "no-store"})
