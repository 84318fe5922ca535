"""The socket that the dashboard listens on."""

import asyncio
import socket

import streamlit as st

from oga_app import asgi_app
from oga_app.server.settings import Settings


def test_what_the_server_accepts_sends_at_once(tmp_path, monkeypatch):
    async def nothing():
        pass

    monkeypatch.setattr(asgi_app, "_settings", Settings.parse(["--run", str(tmp_path)]))
    monkeypatch.setattr(asgi_app, "_sweep", nothing)
    monkeypatch.setattr(asgi_app, "_prepare", lambda: None)
    # As Streamlit makes them: of a protocol that asyncio does not know to be TCP.
    with socket.socket(socket.AF_INET) as listening, socket.socket(socket.AF_INET) as other:
        for bound in (listening, other):
            bound.bind(("127.0.0.1", 0))
            bound.listen()
        monkeypatch.setattr(st, "get_option", lambda name: {"server.port": listening.getsockname()[1]}[name])

        async def serve():
            async with asgi_app._lifespan(asgi_app.app):
                return is_prompt(listening), is_prompt(other)

        assert asyncio.run(serve()) == (True, False)


def is_prompt(listening):
    with socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            return accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
