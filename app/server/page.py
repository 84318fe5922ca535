"""What is said to Streamlit's front end in the page itself."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

_PAGE = re.compile(r"/[\w-]*")
_HEAD = b"<head>"
_BASE = b"window.__streamlit = { BACKEND_BASE_URL: new URL('.', location.href).href };"
"""Where the server is: there where the page is. Otherwise the front end first asks below the page, at /explore/_stcore,
and waits a tenth of a second after the refusal before it asks in the right place."""
_ONE_ENTRY = b"""
const push = history.pushState;
history.pushState = function (state, title, url) {
  const completes = !location.search && new URL(url, location.href).pathname === location.pathname;
  return (completes ? history.replaceState : push).call(history, state, title, url);
};"""
"""A page that is opened without its run gets it from the server, sometimes after the front end has noted the page in
the browser's history: noted twice, it would take two steps to go back from."""
_SCRIPT = b"<script>{" + _BASE + _ONE_ENTRY + b"}</script>"
_STILL = b"<style>.stAppSkeleton *, .stSkeleton, [data-testid=stSkeleton] { animation: none !important; }</style>"
"""What stands for parts that are not there yet keeps still: where the processor draws, moving it takes a tenth of a
second from the page."""


def with_script(scope: Scope, send: Send) -> Send:
    """Return what sends the answer to `scope`, with our script in its head where it is one of our pages."""
    if scope["type"] != "http" or scope["method"] != "GET" or not _PAGE.fullmatch(scope["path"]):
        return send
    del MutableHeaders(scope=scope)["accept-encoding"]  # so that what comes can be read
    held: Message | None = None

    async def sent(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start" and _is_page(message):
            held = message
            return
        if held is not None:
            headers = MutableHeaders(scope=held)
            body = message["body"].replace(_HEAD, _HEAD + _SCRIPT + _STILL, 1)
            headers["content-length"] = str(int(headers["content-length"]) + len(body) - len(message["body"]))
            message = {**message, "body": body}
            await send(held)
            held = None
        await send(message)

    return sent


def _is_page(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    is_html = headers.get("content-type", "").startswith("text/html")
    return start["status"] == 200 and is_html and "content-length" in headers
