"""The dashboard as it is served: Streamlit's application behind the guard."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import streamlit as st
from starlette.middleware import Middleware
from streamlit import runtime

from oga_app.server.guard import Guard
from oga_app.server.settings import Settings
from oga_app.server.sign_in import SignIn
from oga_app.server.uploads import FOLDER, ROOM

_SWEEP_SECONDS = 30.0


def _guard(settings: Settings) -> Middleware:
    door = SignIn(settings.accounts, st.get_option("server.port")) if settings.accounts else None
    return Middleware(
        Guard,
        hosts=st.get_option("server.allowedHosts") or ("localhost", "127.0.0.1"),
        door=door,
        in_frame=settings.in_frame,
    )


@contextlib.asynccontextmanager
async def _lifespan(_: st.App) -> AsyncIterator[None]:
    """Keep the uploads in order while the dashboard is served."""
    ROOM.open(_settings.folder / FOLDER)
    sweeping = asyncio.create_task(_sweep())
    try:
        yield
    finally:
        sweeping.cancel()
        ROOM.close()


async def _sweep() -> None:
    serving = runtime.get_instance()
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        for session in await asyncio.to_thread(ROOM.sweep, serving.is_active_session):
            serving.uploaded_file_mgr.remove_session_files(session)


_settings = Settings.parse(sys.argv[1:])
app = st.App("streamlit_app.py", middleware=[_guard(_settings)], lifespan=_lifespan)
