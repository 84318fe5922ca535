"""An uploaded graph as an `nn.Module`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.pt2.guards import Term, broken_guard
from oga_core.models.pt2.program import DEVICE, GraphRunError, Program
from oga_core.models.pt2.schema import broken

_SHOWN_INPUTS = 8  # in a message


class GraphModule(nn.Module):
    """An uploaded graph as a module: parameters and buffers under their original names, forward gives the logits.

    Call it with the inputs in order or by name (`input_names`). Always in eval mode: `train()` changes nothing.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, tensors: Mapping[str, Tensor], persistent: Mapping[str, bool]):
        super().__init__()
        self._run = _Run(Program([], 0, []), [], {}, ())  # before the tensors, so that none can take the name
        for name, tensor in tensors.items():
            _register(self, name, tensor, persistent.get(name, True))
        self.training = False

    def attach(
        self,
        program: Program,
        sources: Sequence[tuple[int, str]],
        inputs: Mapping[str, tuple[int, torch.dtype, tuple[int | None, ...]]],
        guards: Sequence[tuple[str, Term]] = (),
    ) -> None:
        """Set what runs: the program, the slot of each tensor, slot, dtype and shape of each input, and the guards."""
        owners = []
        for slot, name in sources:
            path, _, leaf = name.rpartition(".")
            module = self.get_submodule(path)
            owners.append((slot, module._parameters if leaf in module._parameters else module._buffers, leaf))
        self._run = _Run(program, owners, dict(inputs), guards)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return tuple(self._run.inputs)

    @property
    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of each input, None where any size goes."""
        return {name: shape for name, (_, _, shape) in self._run.inputs.items()}

    def accepts(self, batch: Mapping[str, Any]) -> bool:
        """Say whether a batch (a mapping from names to tensors) holds every input, in a shape that fits."""
        inputs = self._by_name(batch)
        return all(
            name in inputs and _fits(tuple(inputs[name].shape), want) for name, want in self.input_shapes.items()
        )

    def forward(self, *args: Any, **kwargs: Tensor) -> Tensor:
        """Return the logits. Raises `GraphRunError` when an input is missing or has a shape that does not fit."""
        run = self._run
        slots: list[Any] = [None] * run.program.n_slots
        for slot, owner, name in run.owners:
            slots[slot] = owner[name]
        values = self._bind(args, kwargs)
        for (slot, kind, shape), value in zip(run.inputs.values(), values, strict=True):
            if not _fits(tuple(value.shape), shape):
                raise self._misfit(args, kwargs)
            slots[slot] = value if value.dtype == kind else value.to(kind)
            slots[DEVICE] = value.device
        self._check_guards(values)
        result: Tensor = run.program.run(slots)[0]
        return result

    def train(self, mode: bool = True) -> GraphModule:
        """Keep eval mode: the graph was exported in it."""
        return self

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Tensor]) -> list[Tensor]:
        names = self.input_names
        if len(args) == 1 and isinstance(args[0], Mapping):
            return self._bind((), {**args[0], **kwargs})
        inputs = dict(zip(names, args, strict=False)) | self._by_name(kwargs)
        if len(inputs) == len(names) == len(args) + len(kwargs):
            return [inputs[name] for name in names]
        raise self._misfit(args, kwargs)

    def _by_name(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Match keys to input names; an input inside a dict argument is named after both (`batch_pixels`)."""
        names = self.input_names
        inputs = {name: batch[name] for name in names if name in batch}
        for key in batch.keys() - inputs.keys():
            inner = [name for name in names if name.endswith(f"_{key}") and name not in inputs]
            if len(inner) == 1:
                inputs[inner[0]] = batch[key]
        return inputs

    def _check_guards(self, values: Sequence[Tensor]) -> None:
        if not self._run.guards:
            return
        shapes = {name: tuple(value.shape) for name, value in zip(self._run.inputs, values, strict=True)}
        if guard := broken_guard(self._run.guards, shapes):
            sizes = ", ".join(f"{name} {_shown(shape)}" for name, shape in shapes.items())
            raise GraphRunError(
                f"The model works only where {guard}; it got {sizes}. Set max_length or image_size in the model card "
                "to what it takes, or export it again with a forward that is the same for all sizes."
            )

    def _misfit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> GraphRunError:
        wanted = ", ".join(f"{name} {_shown(shape)}" for name, shape in self.input_shapes.items())
        sizes = [_shown(tuple(value.shape)) for value in args]
        sizes += [f"{name} {_shown(tuple(value.shape))}" for name, value in kwargs.items()]
        got = ", ".join(sizes[:_SHOWN_INPUTS]) + (", …" if len(sizes) > _SHOWN_INPUTS else "")
        return GraphRunError(f"The model takes {wanted or 'no inputs'}; got {got or 'nothing'}.")


@dataclass
class _Run:
    program: Program
    owners: list[tuple[int, dict[str, Any], str]]
    inputs: dict[str, tuple[int, torch.dtype, tuple[int | None, ...]]]
    guards: Sequence[tuple[str, Term]]


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Compare all but the batch dimension, which exports often fix without need."""
    if len(shape) != len(wanted):
        return False
    return all(want is None or size == want for size, want in zip(shape[1:], wanted[1:], strict=True))


def _shown(shape: Sequence[int | None]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"


def _register(root: nn.Module, name: str, tensor: Tensor, persistent: bool) -> None:
    *path, leaf = name.split(".")
    if not all((*path, leaf)) or len(path) > 64 or len(name) > 1000:
        raise broken(f"the tensor name {name[:80]!r}")
    module = root
    try:
        for part in path:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        if isinstance(tensor, nn.Parameter):
            module.register_parameter(leaf, tensor)
        else:
            module.register_buffer(leaf, tensor, persistent=persistent)
    except (KeyError, AttributeError, TypeError):
        raise OgaError(f"The model names a tensor {name[:80]!r}, which a module cannot have. Rename it.") from None
