"""Compiles the JSON of a graph into a `Program`, refusing whatever is not on the list of operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from oga_core.errors import OgaError
from oga_core.models.pt2 import names, ops
from oga_core.models.pt2.aliases import EVAL_MODE, Aliases, tensor_names
from oga_core.models.pt2.functions import function_for
from oga_core.models.pt2.program import DEVICE, NestedProgram, Program, Slot, Step, needed, with_frees
from oga_core.models.pt2.schema import Json, broken, typed, variant
from oga_core.models.pt2.schema import field as required
from oga_core.models.pt2.scope import Scope
from oga_core.models.pt2.sizes import SIZE_OPERATORS, grouped

MAX_NODES = 50_000  # an LSTM unrolled over 512 tokens has 10,000
MAX_DEPTH = 8
_BODY_POSITIONS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}


class Compiler:
    """Turns the nodes of one graph (and of the graphs inside it) into a `Program`.

    half: treat half-precision dtypes as float32, because the weights were converted.
    """

    def __init__(self, graph: Json, *, half: bool = False, depth: int = 0):
        if depth > MAX_DEPTH:
            raise broken("its graphs are nested too deeply")
        self.graph = typed(graph, dict, "the graph")
        self.depth = depth
        self.scope = Scope(half=half)
        self.aliases = Aliases()
        self.parameter_ranks: dict[int, int] = {}
        self.notes: list[str] = []

    def input(self, name: str, *, parameter_rank: int | None = None) -> int:
        """Give an input of the graph its slot; nothing may write into it."""
        slot = self.scope.add(name)
        self.aliases.add_input(name)
        if parameter_rank is not None:
            self.parameter_ranks[slot] = parameter_rank
        return slot

    def compile(self, results: Sequence[str]) -> Program:
        """Compile all nodes that the named results need."""
        nodes = required(self.graph, "nodes", list)
        if len(nodes) > MAX_NODES:
            raise broken(f"its graph has {len(nodes):,} nodes; at most {MAX_NODES:,} are run")
        steps = [step for node in nodes if (step := self._node(typed(node, dict, "a node"))) is not None]
        slots = [self.scope.slot(name).index for name in results]
        steps = needed(_with_linears(steps, self.parameter_ranks), slots)
        return Program(with_frees(steps, slots), self.scope.n_slots, slots, self.notes)

    def _node(self, node: dict[str, Json]) -> Step | None:
        target = required(node, "target", str)
        if target in SIZE_OPERATORS:
            return self._size_step(target, node)
        if target.startswith("torch.ops.higher_order."):
            return self._nested_step(target, node)
        name = ops.short_name(target)
        if name is None:
            raise ops.refused(target)
        operator = ops.overload(name)
        return None if name in names.IGNORED else self._operator_step(name, operator, node)

    def _size_step(self, target: str, node: dict[str, Json]) -> Step:
        args = [self.scope.value(required(item, "arg", dict)) for item in required(node, "inputs", list)]
        return self._step(target, SIZE_OPERATORS[target], args, {}, self.scope.outputs(node))

    def _operator_step(self, name: str, operator: torch._ops.OpOverload, node: dict[str, Json]) -> Step:
        schema = operator._schema
        args, kwargs = self._arguments(name, schema, node)
        self._check_mode(name, schema, args, kwargs)
        outputs = self.scope.outputs(node)
        writes = self.aliases.follow(name, schema, node)
        function = function_for(name)
        position = next((at for at, argument in enumerate(schema.arguments) if argument.name == ops.GROUPS), -1)
        if 0 < position < len(args) and isinstance(args[position], Slot):
            function = grouped(function, position)
        return self._step(name, function, args, kwargs, outputs, writes)

    def _arguments(
        self, name: str, schema: torch._C.FunctionSchema, node: dict[str, Json]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Match the arguments of a node to the operator's own signature."""
        values = {}
        for item in required(node, "inputs", list):
            values[required(item, "name", str)] = self.scope.value(required(item, "arg", dict))
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for argument in schema.arguments:
            key = argument.name
            kind = str(argument.type)
            if key not in values and not argument.has_default_value():
                raise broken(f"{name} is called without {key!r}")
            value = values.pop(key, argument.default_value)
            if kind in ("Device", "Optional[Device]") and (value is not None or _makes_tensor(schema)):
                value = Slot(DEVICE)
            elif key in ("pin_memory", "layout"):
                value = None
            elif isinstance(value, Slot) and kind in ("List[Tensor]", "List[Optional[Tensor]]"):
                raise broken(f"{name} is called with one tensor as {key!r}, a list is needed")
            ops.check_argument(name, key, value)
            if key in ops.FIXED and any(isinstance(v, Slot) for v in (value if isinstance(value, list) else [value])):
                raise OgaError(f"The model computes {key} of aten.{name} while it runs; it must be a number.")
            if not argument.kwarg_only:
                args.append(value)
            elif isinstance(value, Slot) or value != argument.default_value:
                kwargs[key] = value
        if values:
            raise broken(f"{name} is called with the unknown argument {next(iter(values))[:80]!r}")
        return args, kwargs

    def _check_mode(self, name: str, schema: torch._C.FunctionSchema, args: list[Any], kwargs: dict[str, Any]) -> None:
        named = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
        if not ops.training_problem(name, named):
            return
        base = name.partition(".")[0].rstrip("_")
        if base in ("dropout", "feature_dropout"):
            self._note("The model was exported in training mode; its dropout is switched off.")
            return
        raise OgaError(f"The model was exported in training mode: {base} is called with training=True. {EVAL_MODE}")

    def _nested_step(self, target: str, node: dict[str, Json]) -> Step:
        """Compile the body of a `torch.no_grad` or `torch.autocast` block; autocast runs in full precision."""
        kind = target.rpartition(".")[2]
        arguments = [required(item, "arg", dict) for item in required(node, "inputs", list)]
        at = _BODY_POSITIONS.get(kind)
        if at is None:
            raise ops.refused(target)
        if len(arguments) <= at:
            raise broken(f"{kind} has no body")
        body = required(required(arguments[at], "as_graph", dict), "graph", dict)
        switch = typed(self.scope.value(arguments[0 if at == 1 else 2]), bool, f"the switch of {kind}")
        if at > 1 and switch:
            self._note("Steps that were exported under autocast run in full precision.")
        inner = Compiler(body, half=self.scope.half, depth=self.depth + 1)
        operands = [self.scope.value(argument) for argument in arguments[at + 1 :]]
        starts = [inner.input(_value_name(item)) for item in required(body, "inputs", list)]
        if len(starts) != len(operands):
            raise broken(f"{kind} gets {len(operands)} values for {len(starts)} inputs")
        program = inner.compile([_value_name(item) for item in required(body, "outputs", list)])
        for note in program.notes:
            self._note(note)
        outputs = self.scope.outputs(node)
        self.aliases.join([name for argument in arguments[at + 1 :] for name in tensor_names(argument)], node)
        run = NestedProgram(program, starts, gradient=switch if at == 1 else None)
        return self._step(kind, run, [Slot(DEVICE), *operands], {}, (outputs,) if isinstance(outputs, int) else outputs)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _step(
        self,
        name: str,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        outputs: int | tuple[int | None, ...],
        writes: bool = False,
    ) -> Step:
        fills = tuple((i, value.index) for i, value in enumerate(args) if isinstance(value, Slot))
        lists = tuple((i, v) for i, v in enumerate(args) if isinstance(v, list) and any(isinstance(x, Slot) for x in v))
        kwfills = tuple((key, value.index) for key, value in kwargs.items() if isinstance(value, Slot))
        if any(isinstance(item, Slot) for value in kwargs.values() if isinstance(value, list) for item in value):
            raise broken(f"{name} gets a list of values by keyword")
        reads = {slot for _, slot in fills} | {slot for _, slot in kwfills}
        reads |= {item.index for _, items in lists for item in items if isinstance(item, Slot)}
        plain = {key: value for key, value in kwargs.items() if not isinstance(value, Slot)}
        known = [None if isinstance(value, Slot) else value for value in args]
        return Step(name, function, known, plain, fills, lists, kwfills, outputs, frozenset(reads), writes)


def _makes_tensor(schema: torch._C.FunctionSchema) -> bool:
    return not any("Tensor" in str(argument.type) for argument in schema.arguments)


def _value_name(argument: Json) -> str:
    tag, value = variant(argument, "an input")
    if tag == "as_tensor":
        return required(value, "name", str)
    if tag in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return required(value, "as_name", str)
    raise OgaError(f"A graph inside the model takes or gives a value of the kind {tag[:40]!r}, which is not supported.")


def _with_linears(steps: list[Step], ranks: dict[int, int]) -> list[Step]:
    """Call `linear` where a decomposed graph multiplies by a transposed parameter: the same result to the bit."""
    transposed: dict[int, int] = {}
    rewritten = []
    for step in steps:
        slots = [slot for _, slot in step.fills]
        if step.name in _TRANSPOSES and isinstance(step.outputs, int) and ranks.get(slots[0]) == 2:
            if step.args[1:] in _SWAPS:
                transposed[step.outputs] = slots[0]
        elif step.name in _PRODUCTS and not step.kwargs and slots[-1] in transposed:
            bias = slots[:-2]
            if all(ranks.get(slot) == 1 for slot in bias):
                step = _linear(step, [slots[-2], transposed[slots[-1]], *bias])
        rewritten.append(step)
    return rewritten


def _linear(step: Step, slots: list[int]) -> Step:
    empty = [None] * len(slots)
    fills = tuple(enumerate(slots))
    return replace(step, name="linear.default", function=F.linear, args=empty, fills=fills, reads=frozenset(slots))


_TRANSPOSES = ("t.default", "permute.default", "transpose.int", "numpy_T.default")
_SWAPS: list[list[Any]] = [[], [[1, 0]], [0, 1], [1, 0], [-1, -2], [-2, -1]]
_PRODUCTS = ("addmm.default", "mm.default", "matmul.default")
