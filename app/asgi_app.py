"""The dashboard as it is served: Streamlit's application behind the guard."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import inspect
import sys
from collections.abc import AsyncIterator

import streamlit as st
from starlette.middleware import Middleware
from streamlit import runtime

from oga_app.server.guard import Guard
from oga_app.server.settings import Settings
from oga_app.server.sign_in import SignIn
from oga_app.server.sockets import send_at_once
from oga_app.server.uploads import FOLDER, ROOM
from oga_core.errors import OgaError

_SWEEP_SECONDS = 30.0
_PAGES = ("run", "explore", "review", "compare", "export", "guide", "language.ask")
_NEEDED = (*(f"oga_app.views.{page}" for page in _PAGES), "oga_core.threshold.expectation", "pyarrow.dataset")
_SCRIPTS = ("map/gradient_map.js", "grid/sample_grid.js", "review/review_queue.js")


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
    send_at_once(st.get_option("server.port"))
    ROOM.open(_settings.folder / FOLDER)
    tasks = [asyncio.create_task(_sweep()), asyncio.create_task(asyncio.to_thread(_prepare))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ROOM.close()


async def _sweep() -> None:
    serving = runtime.get_instance()
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        for session in await asyncio.to_thread(ROOM.sweep, serving.is_active_session):
            serving.uploaded_file_mgr.remove_session_files(session)


def _prepare() -> None:
    _import_pages()
    _warm(_settings)


def _import_pages() -> None:
    """Import what the pages need while the browser starts, and take it out of every later garbage collection.

    Streamlit collects after each script run, so after each key press; modules hold most objects and are never garbage.
    """
    import pyarrow

    for name in _NEEDED:
        importlib.import_module(name)
    # Arrow's own allocator touches new memory page by page, which took two thirds of the time that a run of ten
    # million needs to open; the system's takes large pages, and gives them back.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    gc.collect()
    gc.freeze()


def _warm(settings: Settings) -> None:
    """Have ready what the first visitor would wait for: the scripts, and the run that is most likely asked for.

    That is the one named on the command line, else the latest that is scored.
    """
    from oga_app import cache
    from oga_app.components import assets

    for script in _SCRIPTS:
        assets.bundle(script)
    inspect.stack()  # Streamlit asks for it once, and the first time all modules are looked up
    runs = [settings.only] if settings.only else settings.runs()
    scored = next((run for run in runs if (run / "scores.parquet").is_file()), None)
    if scored is not None:
        with contextlib.suppress(OgaError):  # of a run that cannot be read its page says why
            cache.warm(scored, settings.closed)


_settings = Settings.parse(sys.argv[1:])
app = st.App("streamlit_app.py", middleware=[_guard(_settings)], lifespan=_lifespan)
