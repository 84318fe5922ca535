"""Exports a model: the ways of torch.export one after the other, and operators outside the list decomposed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from oga_core.errors import OgaError
from oga_core.models.packaging.example_inputs import ExampleInputs
from oga_core.models.packaging.explanations import export_error, line_of
from oga_core.models.packaging.modes import quiet
from oga_core.models.pt2.module import GraphModule
from oga_core.models.pt2.names import ALLOWED
from oga_core.models.pt2.reader import read_pt2

Program = torch.export.ExportedProgram


def export(
    make: Callable[[], nn.Module], inputs: ExampleInputs, path: Path, extra: dict[str, Any]
) -> tuple[GraphModule, ExampleInputs]:
    """Write the first export that the reader takes to `path`; return it as read, and the inputs that it takes.

    make: returns a copy of the model that was not run before. Raises `OgaError` with the reason of the first try.
    """
    failure: OgaError | None = None
    for attempt, strict in _attempts(inputs):
        try:
            module = _written(make(), attempt, strict, path, extra)
        except OgaError as error:
            failure = failure or error
            continue
        if attempt.free_length != inputs.free_length:
            warnings.warn(
                f"This model cannot be exported for texts of any length, so it takes exactly {inputs.length} tokens: "
                "texts must be cut and padded to that. Recurrent layers (LSTM, GRU) are the usual reason.",
                stacklevel=3,
            )
        return module, attempt
    assert failure is not None
    raise failure


def _attempts(inputs: ExampleInputs) -> Iterator[tuple[ExampleInputs, bool]]:
    """Non-strict takes most Python, strict knows other idioms (len(x)); one fixed length is the last resort."""
    yield inputs, False
    yield inputs, True
    if inputs.free_length and inputs.length is not None:
        yield replace(inputs, free_length=False), False
        yield replace(inputs, free_length=False), True


def _written(model: nn.Module, inputs: ExampleInputs, strict: bool, path: Path, extra: dict[str, Any]) -> GraphModule:
    # A batch of 1 would be taken for a constant. Random values, because the file keeps its example.
    args, kwargs = inputs.random(2).call
    try:
        with quiet():
            program = torch.export.export(model, args, kwargs, dynamic_shapes=inputs.shapes(model), strict=strict)
            program = _decomposed(program)
    except Exception as error:  # torch.export raises errors of many kinds, all about the model
        raise export_error(model, error) from error
    lines = {str(node.target): line for node in _calls(program) if (line := line_of(node.meta.get("stack_trace", "")))}
    _strip(program)
    with quiet():
        torch.export.save(program, path, extra_files=extra)
    try:
        return read_pt2(path)[0]
    except OgaError as error:
        place = next((line for name, line in lines.items() if name in str(error)), "")
        raise OgaError(f"{error} The step is in {place}." if place else str(error)) from None


def _decomposed(program: Program) -> Program:
    """Take operators that are not on the list apart into others, and leave those that are on it whole."""
    if all(_short(node.target) in ALLOWED for node in _calls(program)):
        return program
    table = torch.export.default_decompositions()
    return program.run_decompositions({op: table[op] for op in list(table) if _short(op) not in ALLOWED})


def _calls(program: Program) -> Iterator[torch.fx.Node]:
    """Yield the nodes that call operators of aten, without those that the reader leaves out."""
    for node in program.graph.nodes:
        if node.op == "call_function" and str(node.target).startswith("aten."):
            yield node


def _short(target: Any) -> str:
    return str(target).removeprefix("aten.")


def _strip(program: Program) -> None:
    """Remove stack traces, which hold the paths of the user's files."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
