"""An exported graph before it is written: operators outside the list taken apart, and no path of the user's in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from oga_core.models.pt2.names import ALLOWED

Program = torch.export.ExportedProgram


def decomposed(program: Program) -> Program:
    """Take operators that are not on the list apart into others, and leave those that are on it whole."""
    if all(_short(node.target) in ALLOWED for node in calls(program)):
        return program
    table = torch.export.default_decompositions()
    return program.run_decompositions({op: table[op] for op in list(table) if _short(op) not in ALLOWED})


def calls(program: Program) -> Iterator[torch.fx.Node]:
    """Yield the nodes that call operators of aten, without those that the reader leaves out."""
    for node in program.graph.nodes:
        if node.op == "call_function" and str(node.target).startswith("aten."):
            yield node


def _short(target: Any) -> str:
    return str(target).removeprefix("aten.")


def strip(program: Program) -> None:
    """Remove stack traces, which hold the paths of the user's files."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
