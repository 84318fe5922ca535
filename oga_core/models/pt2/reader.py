"""Reads `.pt2` archives of torch.export without running anything of theirs.

`torch.export.load` unpickles, evaluates and even opens shared libraries of the file. This reader takes the JSON of
the graph and the raw bytes of the weights: sample inputs, symbolic expressions and compiled code are never read, and
guards are parsed, not run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.packaging.logits import Chosen, Output, chosen_output, output_note
from oga_core.models.pt2.archive import MAX_JSON_BYTES, RESAVE, Archive
from oga_core.models.pt2.compiler import Compiler
from oga_core.models.pt2.guards import read_guards
from oga_core.models.pt2.module import GraphModule
from oga_core.models.pt2.schema import HALF, Json, broken, dtype, shape, typed, variant
from oga_core.models.pt2.schema import field as required
from oga_core.models.pt2.weights import Weights

CARD_ENTRY = "extra/oga.json"
MODEL = "model"
LOSS = "loss"
"""Names of the graphs that `package_model` writes; the second is there for a loss of one's own."""
_CONSTANTS = "_constants"


def read_pt2(path: Path, output: Chosen = None) -> tuple[GraphModule, ModelCard | None]:
    """Return the model in eval mode and the card inside the file, if there is one.

    The module is a `GraphModule`; its `notes` say what was changed (half precision read as float32, dropout
    switched off) and which of several outputs is taken. output: the one to take, else what the card inside names, else
    the logits by the rule of `chosen_output`.
    Raises `OgaError` for files that are damaged, of an old layout, or that hold anything that could run code.
    """
    with Archive(Path(path)) as archive:
        card = card_inside(archive)
        if output is None and card is not None:
            output = card.output
        module = _program(archive, _model_name(archive), output)
    return module, card


def card_inside(archive: Archive) -> ModelCard | None:
    """Return the card in a file, None where there is none."""
    if CARD_ENTRY not in archive:
        return None
    return ModelCard.from_json(bytes(archive.read(CARD_ENTRY, MAX_JSON_BYTES)), f"oga.json in {archive.name}")


def output_inside(archive: Archive) -> str | None:
    """Return a sentence on which output is taken, of a file whose model has several; its weights are not read."""
    exported = typed(archive.read_json(f"models/{_model_name(archive)}.json"), dict, "the exported program")
    program = required(exported, "graph_module", dict)
    values = required(required(program, "graph", dict), "tensor_values", dict)
    card = card_inside(archive)
    return _logits(program, values, card.output if card else None)[1]


def read_loss(path: Path) -> tuple[GraphModule, str] | None:
    """Return the graph of a loss of one's own and a hash of what it computes, None where the file holds none.

    It takes the outputs and the target of one sample, as batches of one, and its weights are not trained. Raises
    `OgaError` as `read_pt2` does.
    """
    with Archive(Path(path)) as archive:
        if f"models/{LOSS}.json" not in archive:
            return None
        module = _program(archive, LOSS).requires_grad_(False)
        digest = hashlib.blake2b(archive.read(f"models/{LOSS}.json"), digest_size=16)
    for tensor in module.state_dict().values():
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return module, digest.hexdigest()


def _program(archive: Archive, name: str, output: Chosen = None) -> GraphModule:
    """The graph of that name with its weights."""
    exported = typed(archive.read_json(f"models/{name}.json"), dict, "the exported program")
    weights = Weights(archive)
    states = weights.read(_config(archive, f"data/weights/{name}_weights_config.json"), "data/weights/")
    constants = weights.read(_config(archive, f"data/constants/{name}_constants_config.json"), "data/constants/")
    return _module(exported, states, constants, weights.converted, output)


def _model_name(archive: Archive) -> str:
    names = archive.names
    if any(name.startswith("data/aotinductor/") for name in names):
        raise OgaError(
            f"{archive.name} holds compiled code (AOTInductor), which is never run. Save the exported program itself: "
            "torch.export.save(exported_program, 'model.pt2')."
        )
    if any(name.startswith(("data/weights/", "data/constants/")) and name.endswith(".pt") for name in names):
        raise OgaError(
            f"{archive.name} holds its weights as a pickle (torch 2.8 or older), which can run code. {RESAVE}"
        )
    models = [name for name in names if name.startswith("models/") and name.endswith(".json")]
    models = [name for name in models if name != f"models/{LOSS}.json"] or models
    if len(models) != 1:
        raise OgaError(
            f"{archive.name} holds {len(models)} exported programs; a .pt2 file for OGA holds exactly one. {RESAVE}"
        )
    return models[0].removeprefix("models/").removesuffix(".json")


def _config(archive: Archive, name: str) -> Mapping[str, Json]:
    return required(archive.read_json(name), "config", dict)


@dataclass
class _Signature:
    """What the graph's inputs are: tensors of the module by name, or what the caller gives."""

    tensors: dict[str, str] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
    persistent: dict[str, bool] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)


def _signature(record: Json) -> _Signature:
    signature = _Signature()
    for spec in required(record, "input_specs", list):
        kind, value = variant(spec, "an input")
        if kind == "parameter":
            signature.tensors[_argument(value)] = required(value, "parameter_name", str)
        elif kind == "buffer":
            name = required(value, "buffer_name", str)
            signature.tensors[_argument(value)] = name
            signature.persistent[name] = bool(value.get("persistent", True))
        elif kind == "tensor_constant":
            signature.constants[_argument(value)] = required(value, "tensor_constant_name", str)
        elif kind == "user_input":
            tag, argument = variant(required(value, "arg", dict), "an input")
            if tag == "as_tensor":
                signature.users.append(required(argument, "name", str))
            elif tag in ("as_sym_int", "as_sym_float", "as_sym_bool"):
                raise OgaError(
                    "The model takes a number as an input, not only tensors. Fix the number and export again."
                )
        elif kind != "constant_input":
            raise OgaError(f"The model's graph has an input of the kind {kind[:40]!r}, which is not supported.")
    for spec in required(record, "output_specs", list):
        kind, _ = variant(spec, "an output")
        if kind not in ("user_output", "loss_output"):
            raise OgaError(
                f"The model changes its own state while it runs ({kind[:40]}), as in training mode. Call model.eval() "
                "before torch.export.export, and compute new tensors instead of writing into inputs or buffers."
            )
    return signature


def _argument(value: Json) -> str:
    return required(required(value, "arg", dict), "name", str)


def _module(
    exported: dict[str, Json],
    states: dict[str, Tensor],
    constants: dict[str, Tensor],
    converted: torch.dtype | None,
    output: Chosen,
) -> GraphModule:
    program = required(exported, "graph_module", dict)
    graph = required(program, "graph", dict)
    signature = _signature(required(program, "signature", dict))
    tensors = {name: _find(name, states, constants) for name in signature.tensors.values()}
    tensors |= {name: tensor for name, tensor in states.items() if name not in tensors}
    places = {}
    for index, (argument, name) in enumerate(signature.constants.items()):
        places[argument] = f"{_CONSTANTS}.{index}"
        tensors[places[argument]] = _find(name, constants, states).detach()
        signature.persistent[places[argument]] = False
    module = GraphModule(tensors, signature.persistent)

    compiler = Compiler(graph, half=converted is not None)
    sources = []
    for argument, name in (signature.tensors | places).items():
        rank = tensors[name].dim() if isinstance(tensors[name], nn.Parameter) else None
        sources.append((compiler.input(argument, parameter_rank=rank), name))
    values = required(graph, "tensor_values", dict)
    inputs = {}
    for name in signature.users:
        meta = typed(values.get(name), dict, f"the description of the input {name[:80]!r}")
        kind = dtype(meta.get("dtype"))
        kind = torch.float32 if converted is not None and kind in HALF else kind
        inputs[name] = (compiler.input(name), kind, shape(meta))
    taken, note = _logits(program, values, output)
    compiled = compiler.compile([taken])
    compiled.notes += [note] if note else []
    if converted is not None:
        kind_name = str(converted).removeprefix("torch.")
        compiled.notes.append(f"The model's {kind_name} weights are used as float32.")
    module.attach(compiled, sources, inputs, read_guards(exported.get("guards_code"), signature.users))
    module.notes = tuple(compiled.notes)
    return module


def _find(name: str, *places: dict[str, Tensor]) -> Tensor:
    for place in places:
        if name in place:
            return place[name]
    raise broken(f"the tensor {name[:80]!r} is missing")


def _logits(program: Json, values: Mapping[str, Json], chosen: Chosen) -> tuple[str, str | None]:
    """Return the name of the output that holds the logits, and a sentence where there are several."""
    items = required(required(program, "graph", dict), "outputs", list)
    names = [item["as_tensor"].get("name") if isinstance(item.get("as_tensor"), dict) else None for item in items]
    tensors: list[str] = []
    outputs: list[Output] = []
    for name, label in zip(names, _output_labels(program, len(names)), strict=True):
        meta = values.get(name) if isinstance(name, str) else None
        if isinstance(name, str) and isinstance(meta, dict):
            tensors.append(name)
            outputs.append(Output(label, shape(meta), dtype(meta.get("dtype")).is_floating_point))
    at = chosen_output(outputs, chosen)
    return tensors[at], output_note(outputs, at)


def _output_labels(program: Json, count: int) -> list[str | None]:
    """Return the top-level name of each flat output (of a dict or a Hugging Face output), None where it has none.

    The tree is only read as JSON, never rebuilt.
    """
    try:
        tree = json.loads(program["module_call_graph"][0]["signature"]["out_spec"])[1]
        keys = json.loads(tree["context"])
        labels = []
        for key, child in zip(keys, tree["children_spec"], strict=True):
            labels += [key] * _leaves(child)
    except (LookupError, TypeError, ValueError, RecursionError):
        return [None] * count
    return labels if len(labels) == count else [None] * count


def _leaves(tree: Json) -> int:
    if tree["type"] is None:
        return 1
    return sum(_leaves(child) for child in tree["children_spec"])
