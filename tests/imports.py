"""Who imports whom in the core, read from the source: no module is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

Graph = Mapping[str, frozenset[str]]


def import_graph(package: Path, *, types: bool) -> Graph:
    """Return what each module of `package` imports at its top level; with `types`, what TYPE_CHECKING guards too."""
    files = {_name(path, package): path for path in package.rglob("*.py")}
    return {name: frozenset(_targets(path, files, types) - {name}) for name, path in files.items()}


def longest_chain(graph: Graph) -> tuple[str, ...]:
    """Return the longest way through an acyclic `graph`, from the module that imports to the one imported last."""

    @cache
    def below(name: str) -> tuple[str, ...]:
        return (name, *max((below(target) for target in graph[name]), key=len, default=()))

    return max((below(name) for name in graph), key=len)


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(path: Path, files: Mapping[str, Path], types: bool) -> set[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {module for name in _imported(body, types) if (module := _module(name, files))}


def _imported(body: Sequence[ast.stmt], types: bool) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)
        elif isinstance(statement, ast.If):
            if types or "TYPE_CHECKING" not in ast.unparse(statement.test):
                yield from _imported(statement.body, types)
            yield from _imported(statement.orelse, types)
        elif isinstance(statement, ast.Try):
            yield from _imported([*statement.body, *statement.orelse, *statement.finalbody], types)
            yield from (name for handler in statement.handlers for name in _imported(handler.body, types))


def _module(name: str, files: Mapping[str, Path]) -> str | None:
    """Return the module that `from a.b import c` names: a.b.c where it is one, else a.b."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name or None
