"""What is said to Streamlit's front end in the page itself."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

_PAGE = re.compile(r"/[\w-]*")
_HEAD = b"<head>"
_BASE = b"<script>window.__streamlit = { BACKEND_BASE_URL: new URL('.', location.href).href };</script>"
"""Where the server is: there where the page is. Otherwise the front end first asks below the page, at /explore/_stcore,
and waits a tenth of a second after the refusal before it asks in the right place."""


def with_base(scope: Scope, send: Send) -> Send:
    """Return what sends the answer to `scope`, with the server's address in it where it is one of our pages."""
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
            body = message["body"].replace(_HEAD, _HEAD + _BASE, 1)
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
