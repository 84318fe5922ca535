"""Exports a model: the ways of torch.export one after the other, and operators outside the list decomposed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export.pt2_archive._package import package_pt2  # torch.export.save calls it for one graph alone

from oga_core.errors import OgaError
from oga_core.models.packaging.example_inputs import ExampleInputs
from oga_core.models.packaging.explanations import export_error, line_of
from oga_core.models.packaging.graphs import Program, calls, decomposed, strip
from oga_core.models.packaging.modes import quiet
from oga_core.models.pt2.module import GraphModule
from oga_core.models.pt2.reader import MODEL, read_pt2


def export(
    make: Callable[[], nn.Module],
    inputs: ExampleInputs,
    path: Path,
    extra: dict[str, Any],
    beside: Mapping[str, Program] | None = None,
) -> tuple[GraphModule, ExampleInputs]:
    """Write the first export that the reader takes to `path`; return it as read, and the inputs that it takes.

    make: returns a copy of the model that was not run before. beside: further graphs for the file, by name. Raises
    `OgaError` with the reason of the first try.
    """
    failure: OgaError | None = None
    for attempt, strict in _attempts(inputs):
        try:
            module = _written(make(), attempt, strict, path, extra, beside or {})
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


def _written(
    model: nn.Module,
    inputs: ExampleInputs,
    strict: bool,
    path: Path,
    extra: dict[str, Any],
    beside: Mapping[str, Program],
) -> GraphModule:
    # A batch of 1 would be taken for a constant. Random values, because the file keeps its example.
    args, kwargs = inputs.random(2).call
    try:
        with quiet():
            program = torch.export.export(model, args, kwargs, dynamic_shapes=inputs.shapes(model), strict=strict)
            program = decomposed(program)
    except Exception as error:  # torch.export raises errors of many kinds, all about the model
        raise export_error(model, error) from error
    lines = {str(node.target): line for node in calls(program) if (line := line_of(node.meta.get("stack_trace", "")))}
    strip(program)
    try:
        with quiet():
            package_pt2(str(path), exported_programs={MODEL: program, **beside}, extra_files=extra)
    except NotImplementedError as error:  # outputs of a kind that no file can name
        raise export_error(model, error) from error
    try:
        return read_pt2(path)[0]
    except OgaError as error:
        place = next((line for name, line in lines.items() if name in str(error)), "")
        raise OgaError(f"{error} The step is in {place}." if place else str(error)) from None
