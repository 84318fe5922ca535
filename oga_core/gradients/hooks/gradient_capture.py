"""Watches a forward pass and turns what the backward pass sends into gradient factors, without weight gradients.

Selected parameters do not require gradients while it watches. Where a function meets one, the tape starts at its output
and a hook on that output, set at once (an activation may later overwrite it in place), makes a factor of what comes
back. Parameters are known by identity: shared layers, tied weights and functional calls need nothing special.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from oga_core.gradients.hooks import (
    rules_broadcast,
    rules_contraction,
    rules_convolution,
    rules_embedding,
    rules_normalisation,
    rules_products,
    rules_recurrent,
)
from oga_core.gradients.hooks.calls import Call, plain_name, tensors_in
from oga_core.gradients.hooks.derived import Derivation, linear_of_parameters
from oga_core.gradients.hooks.layouts import REORDERS, note_order
from oga_core.gradients.hooks.tape import Tape

RULES = {
    **rules_products.RULES,
    **rules_convolution.RULES,
    **rules_embedding.RULES,
    **rules_normalisation.RULES,
    **rules_broadcast.RULES,
    **rules_recurrent.RULES,
}
"""For each function the names of its arguments and its rule, which returns None for arguments that it does not suit."""
_SHORT_DERIVATIONS = (
    rules_products.transposed,
    rules_broadcast.spread_alone,
    rules_embedding.looked_up,
    linear_of_parameters,
)
_FACTS = {getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim")}
"""What models ask their tensors again and again, and no tape need see."""
_WRITES = {Tensor.__setitem__, Tensor.copy_}


class GradientCapture(TorchFunctionMode):
    """Runs each function as it is, or by its rule where it meets parameters on the `tape`."""

    def __init__(self, tape: Tape):
        super().__init__()
        self.tape = tape
        self._derivation = Derivation(tape)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FACTS:
            return func(*args)
        kwargs = kwargs or {}
        meets, data = self._met((*args, *kwargs.values()) if kwargs else args)
        if not meets or not torch.is_grad_enabled():
            output = func(*args, **kwargs)
        elif not data:
            return self._derive(func, args, kwargs)
        else:
            output = self._apply(func, args, kwargs)
        if data:
            self.tape.watch((output,) if isinstance(output, Tensor) else tensors_in((output,)))
            if func in _WRITES:
                self.tape.watch(args[:1])
            if func in REORDERS:
                note_order(func, args, output, self.tape.n)
        return output

    def _met(self, values: Sequence[Any]) -> tuple[bool, bool]:
        """Whether parameters are among the values, and whether data is; asked of every call of a model."""
        meets = data = False
        for value in values:
            if isinstance(value, Tensor):
                meets = meets or self.tape.sink(value) is not None
                data = data or _is_data(value)
            elif isinstance(value, (tuple, list)):
                inside = self._met(value)
                meets = meets or inside[0]
                data = data or inside[1]
        return meets, data

    def _apply(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a function that meets both data and parameters."""
        name = plain_name(func)
        if func is F.multi_head_attention_forward:
            with self:
                return _opened(func)(*args, **kwargs)
        if name in ("to", "type_as"):  # of data, the parameter lends its dtype alone
            return self._derive(func, args, kwargs) if self.tape.sink(args[0]) else func(*args, **kwargs)
        output = None
        for rules in (RULES, rules_contraction.RULES):
            if output is None and func in rules:
                names, rule = rules[func]
                output = rule(self.tape, func, Call(names, args, kwargs))
        if output is not None:
            return output
        if name in rules_broadcast.ELEMENTWISE:
            output = rules_broadcast.elementwise(self.tape, func, args, kwargs)
        elif name == "expand_as":
            output = rules_broadcast.spread(self.tape, args[0], args[1].shape)
        return self.tape.run_missed(func, args, kwargs) if output is None else output

    def _derive(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a function that meets parameters but no data, without a tape where there is a shorter way."""
        if plain_name(func) == "get" and func not in rules_products.TRANSPOSES:  # an attribute
            output = func(*args, **kwargs)
            if not isinstance(output, Tensor):
                return output
        for rule in _SHORT_DERIVATIONS:
            output = rule(self.tape, func, args, kwargs)
            if output is not None:
                return output
        return self._derivation(func, args, kwargs)


def _is_data(tensor: Tensor) -> bool:
    if hasattr(tensor, "_oga_data"):
        return True
    return tensor.requires_grad and not hasattr(tensor, "_oga_sink")


def _opened(func: Any) -> Any:
    """The same Python function, showing its inner calls instead of being handed over as a whole."""
    return types.FunctionType(
        func.__code__,
        {**func.__globals__, "has_torch_function": lambda _: False},
        func.__name__,
        func.__defaults__,
        func.__closure__,
    )
