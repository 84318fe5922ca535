"""A shared dashboard where the kernel lacks a layer of the jail: nothing is read for accounts until that is allowed."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from app_runs import image_run
from app_server import Server, Visitor
from test_lacking import HERE, LANDLOCK

from oga_app import cache
from oga_app.server.accounts import set_password

PASSWORD = "correct horse"
QUERY = {"run": "digits", "flagged": "20"}
CLOSED = "Reading data and models is closed on this shared dashboard. This system has no landlock"
HOLE = "can open every file that you can"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="landlock is Linux's")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unjailed")
    image_run(folder)
    set_password(folder / "accounts.json", "Ada", PASSWORD)
    return folder


@contextmanager
def visited(folder: Path, *flags: str) -> Iterator[Visitor]:
    """Ada's tab on a server that sees no landlock."""
    lacking = [sys.executable, str(HERE / "lacking.py"), LANDLOCK]
    server = Server(folder, "--accounts", str(folder / "accounts.json"), *flags, under=lacking)
    server.start()
    visitor = Visitor(server)
    try:
        assert visitor.sign_in("Ada", PASSWORD).status == 303
        visitor.connect()
        yield visitor
    finally:
        visitor.close()
        server.kill()


def samples(visitor: Visitor) -> list[dict[str, str]]:
    """What the grid of the Explore page shows."""
    visitor.visit("explore", **QUERY)
    page = json.loads(visitor.component("sample_grid")[0].json)["page"]
    shown: list[dict[str, str]] = json.loads(visitor.ask("GET", page).content)["samples"]  # type: ignore[attr-defined]
    assert shown
    return shown


def exported(visitor: Visitor) -> str:
    """What the Export page says after a press of Prepare a download."""
    visitor.visit("export", **QUERY)
    visitor.use("export", {"export-make": True}, **QUERY)
    return visitor.text


def test_whatever_the_pages_have_read_is_closed_with_the_rest() -> None:
    source = ast.parse(Path(cache.__file__).read_text(encoding="utf-8"))
    functions = {node.name: node for node in source.body if isinstance(node, ast.FunctionDef)}
    started = {"PreviewReader", "Asker", "content_of", "tokens_of", "look_at", "try_some"}
    starters = {name for name, node in functions.items() if name.startswith("_") and started & names_in(node)}
    assert len(starters) == len(started)
    asking = {name for name, node in functions.items() if starters & names_in(node)} - {"look_again"}  # which forgets
    assert asking >= {"reader", "content", "tokens", "looked", "tried", "asker"}
    # `_closed` says why nothing is read, to what a server does before anybody asks.
    assert [name for name in asking if names_in(functions[name]).isdisjoint({"require_jail", "_closed"})] == []


def names_in(node: ast.AST) -> set[str]:
    """The names and attributes that a function uses."""
    used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return used | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


def test_nothing_is_read_for_accounts_where_the_jail_has_holes(folder: Path) -> None:
    with visited(folder) as visitor:
        visitor.visit("run", **QUERY)
        assert CLOSED in visitor.text
        shown = samples(visitor)
        assert not any(sample.get("image") for sample in shown)
        assert all(CLOSED in json.dumps(sample) for sample in shown)
        assert CLOSED in exported(visitor)
        assert "export-download" not in visitor.text
        log = visitor.server.log
    assert "oga: Warning: This system has no landlock" in log
    assert HOLE in log
    assert "Start it with --allow-unjailed" in log


def test_what_was_allowed_is_read_and_the_hole_still_named(folder: Path) -> None:
    with visited(folder, "--allow-unjailed") as visitor:
        visitor.visit("run", **QUERY)
        assert HOLE in visitor.text
        assert CLOSED not in visitor.text
        assert all(sample.get("image") for sample in samples(visitor))
        assert CLOSED not in exported(visitor)
        assert "export-download" in visitor.text
        since_its_start = visitor.server.log.rpartition("The dashboard is at")[2]
        assert HOLE in since_its_start
        assert "Start it with --allow-unjailed" not in since_its_start
