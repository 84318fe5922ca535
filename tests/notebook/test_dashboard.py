"""The dashboard from Python: it serves the run, ends when it is stopped, and says why it could not start."""

from __future__ import annotations

import socket
import sys
import types
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from app_runs import table_run

from oga_app.server.guard import _HEADERS as STRICT
from oga_app.server.guard import Guard, framed
from oga_core.errors import OgaError
from oga_core.notebook import dashboard as module
from oga_core.notebook.dashboard import in_notebook, open_dashboard
from oga_core.notebook.run import Run


@pytest.fixture
def opened_pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been opened in the browser."""
    pages: list[str] = []
    monkeypatch.setattr(module.webbrowser, "open", pages.append)
    return pages


def test_show_serves_the_run_until_it_is_stopped(tmp_path: Path, opened_pages: list[str]) -> None:
    shown = Run(table_run(tmp_path).path).show()
    try:
        with urllib.request.urlopen(f"{shown.url}/_stcore/health", timeout=30) as answer:
            assert answer.status == 200
        assert opened_pages == [shown.url]
        assert "running" in repr(shown)
        assert f'src="{shown.url}?embed=true"' in shown._repr_html_()
    finally:
        shown.stop()
    assert "stopped" in repr(shown)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{shown.url}/_stcore/health", timeout=5)


def test_a_dashboard_that_cannot_start_says_why(tmp_path: Path) -> None:
    run = table_run(tmp_path).path
    with pytest.raises(OgaError, match="port 70000 cannot be used"):
        open_dashboard(run, port=70000)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(OgaError, match=f"port {other.getsockname()[1]} cannot be used"):
            open_dashboard(run, port=other.getsockname()[1])
    with pytest.raises(OgaError, match=r"The dashboard did not start: .*does not exist"):
        open_dashboard(tmp_path / "nowhere")


def test_a_notebook_is_told_from_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()


def test_only_a_notebook_s_dashboard_may_be_framed() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    assert Guard(app, ["localhost"]).headers["X-Frame-Options"] == "DENY"
    loose = Guard(app, ["localhost"], in_frame=True).headers
    assert "X-Frame-Options" not in loose
    assert "frame-ancestors http://localhost:*" in loose["Content-Security-Policy"]
    assert {name: value for name, value in STRICT.items() if "Frame" not in name and "Policy" not in name}.items() <= (
        framed(STRICT).items()
    )
