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
from oga_core.models.pt2.program import DEVICE, Program, Slot, Step, needed, with_frees
from oga_core.models.pt2.schema import (
    HALF,
    MEMORY_FORMATS,
    STRIDED,
    Json,
    broken,
    dtype,
    floating,
    integer,
    typed,
    variant,
)
from oga_core.models.pt2.schema import field as required

MAX_NODES = 200_000
MAX_DEPTH = 8
_BODY_POSITIONS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}


class Compiler:
    """Turns the nodes of one graph (and of the graphs inside it) into a `Program`.

    half: treat half-precision dtypes as float32, because the weights were converted.
    """

    def __init__(self, graph: Json, *, half: bool = False, depth: int = 0):
        if depth > MAX_DEPTH:
            raise broken("its graphs are nested too deeply")
        self.graph, self.half, self.depth = typed(graph, dict, "the graph"), half, depth
        self.slots: dict[str, int] = {}
        self.aliases = Aliases()
        self.parameter_ranks: dict[int, int] = {}
        self.notes: list[str] = []
        self.n_slots = DEVICE + 1

    def input(self, name: str, *, parameter_rank: int | None = None) -> int:
        """Give an input of the graph its slot; nothing may write into it."""
        slot = self._new_slot(name)
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
        slots = [self._slot(name).index for name in results]
        steps = needed(_with_linears(steps, self.parameter_ranks), slots)
        return Program(with_frees(steps, slots), self.n_slots, slots, self.notes)

    def _new_slot(self, name: str) -> int:
        if name in self.slots:
            raise broken(f"the name {name[:80]!r} is used twice")
        self.slots[name] = self.n_slots
        self.n_slots += 1
        return self.n_slots - 1

    def _slot(self, name: Json) -> Slot:
        index = self.slots.get(typed(name, str, "the name of a value"))
        if index is None:
            raise broken(f"the value {name[:80]!r} is used before it is made")
        return Slot(index)

    def _node(self, node: dict[str, Json]) -> Step | None:
        target = required(node, "target", str)
        if target in ops.SIZE_OPERATORS:
            return self._size_step(target, node)
        if target.startswith("torch.ops.higher_order."):
            return self._nested_step(target, node)
        name = ops.short_name(target)
        if name is None:
            raise ops.refused(target)
        operator = ops.overload(name)
        return None if name in names.IGNORED else self._operator_step(name, operator, node)

    def _size_step(self, target: str, node: dict[str, Json]) -> Step:
        args = [self._value(required(item, "arg", dict)) for item in required(node, "inputs", list)]
        return self._step(target, ops.SIZE_OPERATORS[target], args, {}, self._outputs(node))

    def _operator_step(self, name: str, operator: torch._ops.OpOverload, node: dict[str, Json]) -> Step:
        schema = operator._schema
        args, kwargs = self._arguments(name, schema, node)
        self._check_mode(name, schema, args, kwargs)
        outputs = self._outputs(node)
        writes = self.aliases.follow(name, schema, node)
        return self._step(name, ops.function_for(name), args, kwargs, outputs, writes)

    def _arguments(
        self, name: str, schema: torch._C.FunctionSchema, node: dict[str, Json]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Match the arguments of a node to the operator's own signature."""
        given = {}
        for item in required(node, "inputs", list):
            given[required(item, "name", str)] = self._value(required(item, "arg", dict))
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for argument in schema.arguments:
            key, kind = argument.name, str(argument.type)
            if key not in given and not argument.has_default_value():
                raise broken(f"{name} is called without {key!r}")
            value = given.pop(key, argument.default_value)
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
        if given:
            raise broken(f"{name} is called with the unknown argument {next(iter(given))[:80]!r}")
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
        switch = typed(self._value(arguments[0 if at == 1 else 2]), bool, f"the switch of {kind}")
        if at > 1 and switch:
            self._note("Steps that were exported under autocast run in full precision.")
        inner = Compiler(body, half=self.half, depth=self.depth + 1)
        operands = [self._value(argument) for argument in arguments[at + 1 :]]
        starts = [inner.input(_value_name(item)) for item in required(body, "inputs", list)]
        if len(starts) != len(operands):
            raise broken(f"{kind} gets {len(operands)} values for {len(starts)} inputs")
        program = inner.compile([_value_name(item) for item in required(body, "outputs", list)])
        for note in program.notes:
            self._note(note)
        outputs = self._outputs(node)
        self.aliases.join([name for argument in arguments[at + 1 :] for name in tensor_names(argument)], node)
        run = _Nested(program, starts, gradient=switch if at == 1 else None)
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

    def _outputs(self, node: dict[str, Json]) -> int | tuple[int | None, ...]:
        outputs = required(node, "outputs", list)
        if len(outputs) == 1 and "as_tensors" not in typed(outputs[0], dict, "an output"):
            slot = self._output(outputs[0])
            return () if slot is None else slot
        if len(outputs) == 1:
            return tuple(
                self._new_slot(required(item, "name", str)) for item in required(outputs[0], "as_tensors", list)
            )
        return tuple(self._output(output) for output in outputs)

    def _output(self, output: Json) -> int | None:
        tag, value = variant(output, "an output")
        if tag == "as_none":
            return None
        if tag == "as_tensor":
            return self._new_slot(required(value, "name", str))
        if tag in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return self._new_slot(required(value, "as_name", str))
        raise broken(f"an output is of the kind {tag[:40]}")

    def _value(self, argument: Json) -> Any:
        tag, value = variant(argument, "an argument")
        reader = _READERS.get(tag)
        if reader is None:
            raise OgaError(f"The model's graph has an argument of the kind {tag[:40]!r}, which is not supported.")
        return reader(self, value)

    def _dtype(self, code: Json) -> torch.dtype:
        found = dtype(code)
        return torch.float32 if self.half and found in HALF else found


class _Nested:
    """A graph inside a step: a no_grad or enable_grad block (gradient), else an autocast block."""

    def __init__(self, program: Program, starts: list[int], gradient: bool | None):
        self.program, self.starts, self.gradient = program, starts, gradient

    def __call__(self, device: torch.device, *operands: Any) -> list[Any]:
        slots: list[Any] = [None] * self.program.n_slots
        slots[DEVICE] = device
        for slot, value in zip(self.starts, operands, strict=True):
            slots[slot] = value
        if self.gradient is None:
            with torch.autocast(device.type, enabled=False):
                return self.program.run(slots)
        with torch.set_grad_enabled(self.gradient and torch.is_grad_enabled()):
            return self.program.run(slots)


def _sym(tag: str, read: Callable[[Json, str], Any]) -> Callable[[Compiler, Json], Any]:
    def value(compiler: Compiler, item: Json) -> Any:
        kind, content = variant(item, "a size")
        if kind == "as_name":
            return compiler._slot(content)
        if kind != tag:
            raise broken(f"a size is of the kind {kind[:40]}")
        return read(content, "a size")

    return value


def _boolean(value: Json, what: str) -> bool:
    return typed(value, bool, what)


def _many(reader: Callable[[Compiler, Json], Any]) -> Callable[[Compiler, Json], Any]:
    return lambda compiler, values: [reader(compiler, value) for value in typed(values, list, "a list")]


def _tensor(compiler: Compiler, value: Json) -> Slot:
    return compiler._slot(required(value, "name", str))


def _optional_tensor(compiler: Compiler, value: Json) -> Slot | None:
    tag, content = variant(value, "an optional tensor")
    return None if tag == "as_none" else _tensor(compiler, content)


def _memory_format(_: Compiler, value: Json) -> torch.memory_format:
    found = MEMORY_FORMATS.get(typed(value, int, "a memory format"))
    if found is None:
        raise broken(f"the memory format {value}")
    return found


def _layout(_: Compiler, value: Json) -> None:
    if value != STRIDED:
        raise OgaError("The model makes sparse tensors, which is not supported.")


_READERS: dict[str, Callable[[Compiler, Json], Any]] = {
    "as_none": lambda _, __: None,
    "as_tensor": _tensor,
    "as_tensors": _many(_tensor),
    "as_optional_tensor": _optional_tensor,
    "as_optional_tensors": _many(_optional_tensor),
    "as_int": lambda _, value: integer(value, "an int"),
    "as_ints": _many(lambda _, value: integer(value, "an int")),
    "as_float": lambda _, value: floating(value, "a float"),
    "as_floats": _many(lambda _, value: floating(value, "a float")),
    "as_bool": lambda _, value: _boolean(value, "a bool"),
    "as_bools": _many(lambda _, value: _boolean(value, "a bool")),
    "as_string": lambda _, value: typed(value, str, "a text"),
    "as_sym_int": _sym("as_int", integer),
    "as_sym_ints": _many(_sym("as_int", integer)),
    "as_sym_float": _sym("as_float", floating),
    "as_sym_floats": _many(_sym("as_float", floating)),
    "as_sym_bool": _sym("as_bool", _boolean),
    "as_scalar_type": lambda compiler, value: compiler._dtype(value),
    "as_memory_format": _memory_format,
    "as_layout": _layout,
    "as_device": lambda _, __: Slot(DEVICE),
}


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
