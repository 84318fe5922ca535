"""Files that ask for endless work or memory, or that make a library panic: each costs seconds and one sentence."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from attack_files import ATTACKS, CARD, Attack, attack
from attacks_huggingface import change_json, save_tokenizer, tiny_bert
from attacks_other import skops_file
from attacks_safetensors import as_header, entry, safetensors_file
from pt2_attacks import MODEL, WEIGHTS, benign, edited, node, write


def pt2_file(folder: Path, name: str, change: Callable[[Any], None]) -> Path:
    """Write the harmless model with one JSON entry changed, and its card."""
    card = {**CARD, "classes": ["a", "b", "c"]}
    return write(folder / "model.pt2", edited(benign(), name, change) | {"extra/oga.json": json.dumps(card).encode()})


@attack("strides .*, which no memory holds")
def pt2_stride_overflow(folder: Path, marker: Path) -> Path:
    """A stride that no memory reaches, along an axis of one element."""

    def change(content: Any) -> None:
        sizes, strides = [1, 96], [2**62, 1]
        content["config"]["head.weight"]["tensor_meta"] |= {
            "sizes": [{"as_int": size} for size in sizes],
            "strides": [{"as_int": stride} for stride in strides],
        }

    return pt2_file(folder, WEIGHTS, change)


@attack("which a module cannot have")
def pt2_tensor_named_run(folder: Path, marker: Path) -> Path:
    return pt2_file(folder, WEIGHTS, lambda content: content["config"].update(_run=content["config"]["head.bias"]))


def _chain(length: int) -> Callable[[Path, Path], Path]:
    """Views in front of a layer, each of the one before."""

    def change(content: Any) -> None:
        relu = node(content, "relu")
        nodes = content["graph_module"]["graph"]["nodes"]
        before = relu["inputs"][0]["arg"]
        views = []
        for number in range(length):
            after = {"as_tensor": {"name": f"view_{number}"}}
            inputs = [{"name": "self", "arg": before, "kind": 1}]
            views.append({"target": "torch.ops.aten.alias.default", "inputs": inputs, "outputs": [after]})
            before = after
        nodes[nodes.index(relu) : nodes.index(relu)] = views
        relu["inputs"][0]["arg"] = before

    return lambda folder, marker: pt2_file(folder, MODEL, change)


ATTACKS["pt2_150_000_nodes"] = Attack(_chain(150_000), "at most 50,000 are run")
ATTACKS["pt2_40_000_views"] = Attack(_chain(40_000), None)


def _tokenizer(**changes: Any) -> Callable[[Path, Path], Path]:
    def build(folder: Path, marker: Path) -> Path:
        tiny_bert(folder)
        change_json(folder / "tokenizer.json", **changes)
        return folder

    return build


def _charsmap(size: int, content: bytes) -> dict[str, Any]:
    packed = base64.b64encode(struct.pack("<I", size) + content).decode()
    return {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": packed}]}


_ADDED = [
    {"id": 5 + i, "content": f"[X{i}]", "special": True, "single_word": False, "lstrip": False, "rstrip": False,
     "normalized": False}
    for i in range(100_000)
]  # fmt: skip
_MERGES = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}
for _name, _refused, _changes in (
    ("charsmap_abort", "precompiled_charsmap", {"normalizer": _charsmap(2**32 - 4, b"abc")}),
    ("charsmap_panic", "precompiled_charsmap", {"normalizer": _charsmap(7, b"abc")}),
    ("panic", "The tokenizer in .* cannot be loaded", {"model": _MERGES}),
    ("added_tokens", "100,000 added tokens", {"added_tokens": _ADDED}),
):
    ATTACKS[f"hf_tokenizer_{_name}"] = Attack(_tokenizer(**_changes), _refused)


@attack("100,000 added tokens")
def hf_added_tokens_file(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "added_tokens.json").write_text(json.dumps({f"[X{i}]": 5 + i for i in range(100_000)}))
    return folder


_SAFE = {"weight": entry([2, 3], 0, 24), "bias": entry([2], 24, 32)}
for _name, _entry in (
    ("four_bits", entry([2, 48], 0, 48, "F4")),
    ("shape_2_63", entry([2**63, 0], 0, 0)),
    ("shape_2_64", entry([2**64, 0], 0, 0)),
    ("shape_empty_overflow", entry([2**62, 2**62, 0], 0, 0)),
):
    ATTACKS[f"safetensors_{_name}"] = Attack(
        lambda folder, marker, one=_entry: safetensors_file(
            folder, as_header({"weight": one}), bytes(one["data_offsets"][1])
        ),
        "is not a readable safetensors file|no gradients",
    )


def _skops_attribute(name: str, value: Any) -> Callable[[Path, Path], Path]:
    content = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True}
    changed = {**content, "content": json.dumps(value), "__id__": 901}
    return lambda folder, marker: skops_file(
        folder, lambda schema: schema["content"]["content"].update({name: changed})
    )


for _name, _value in (
    ("coef_", "text"),
    ("coef_", None),
    ("intercept_", {"a": 1}),
    ("classes_", 3),
    ("classes_", None),
):
    ATTACKS[f"skops_{_name}{type(_value).__name__}"] = Attack(
        _skops_attribute(_name, _value), "its attributes are not those of a fitted model"
    )

_TINY: dict[str, dict[str, Any]] = {
    "albert": {"hidden_size": 8, "embedding_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2},
    "squeezebert": {"hidden_size": 8, "embedding_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2},
    "gpt_neo": {"hidden_size": 8, "num_layers": 1, "attention_types": [[["global"], 1]], "num_heads": 2},
}


def _config(model_type: str, **changes: Any) -> Callable[[Path, Path], Path]:
    """Save a tiny model with random weights and change its config.json afterwards."""

    def build(folder: Path, marker: Path) -> Path:
        from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForSequenceClassification

        torch.manual_seed(0)
        auto = AutoModelForCausalLM if model_type == "gpt_neo" else AutoModelForSequenceClassification
        sizes = {"intermediate_size": 8, "vocab_size": 5, "max_position_embeddings": 16}
        auto.from_config(CONFIG_MAPPING[model_type](**_TINY[model_type], **sizes)).save_pretrained(folder)
        save_tokenizer(folder)
        change_json(folder / "config.json", **changes)
        return folder

    return build


for _name, _type, _settings in (
    ("hidden_groups", "albert", {"num_hidden_groups": 10**8}),
    ("inner_groups", "albert", {"inner_group_num": 10**8}),
    ("convolution_groups", "squeezebert", {"q_groups": 10**8, "hidden_size": 10**8}),
    ("attention_types", "gpt_neo", {"attention_types": [[["global"], 10**9]], "num_layers": 10**9}),
    ("attention_types_alone", "gpt_neo", {"attention_types": [[["global", "local"], 10**9]]}),
):
    ATTACKS[f"hf_config_{_name}"] = Attack(_config(_type, **_settings), "config.json asks for")
