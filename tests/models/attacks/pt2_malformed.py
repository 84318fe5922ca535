"""Broken `.pt2` files: how each is made, and what its refusal must say."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pt2_attacks import MODEL, WEIGHTS, argument, benign, edited, node, write


def in_weights(change: Callable[[Any], None]) -> Callable[[Path], None]:
    return lambda path: void(write(path, edited(benign(), WEIGHTS, lambda content: change(content["config"]))))


def in_model(change: Callable[[Any], None]) -> Callable[[Path], None]:
    return lambda path: void(write(path, edited(benign(), MODEL, change)))


def in_meta(**fields: Any) -> Callable[[Path], None]:
    return in_weights(lambda config: config["head.weight"]["tensor_meta"].update(fields))


def void(_: object) -> None:
    """Make an expression a statement."""


def sizes(*numbers: int) -> list[dict[str, int]]:
    return [{"as_int": number} for number in numbers]


def with_file(**entries: bytes) -> Callable[[Path], None]:
    return lambda path: void(write(path, benign() | {name.replace("__", "/"): data for name, data in entries.items()}))


def truncated(path: Path) -> None:
    write(path, benign())
    path.write_bytes(path.read_bytes()[:-200])


def flipped_weight(path: Path) -> None:
    write(path, benign())
    data = path.read_bytes()
    weight = benign()["data/weights/weight_0"]
    path.write_bytes(data.replace(weight, bytes([weight[0] ^ 1]) + weight[1:], 1))


def overlapping(path: Path) -> None:
    """Two directory entries that point to the same bytes."""
    write(path, benign())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data/weights/weight_77", benign()["data/weights/weight_0"])
        first, last = archive.getinfo("model/data/weights/weight_0"), archive.infolist()[-1]
        last.header_offset = first.header_offset


def encrypted(path: Path) -> None:
    write(path, benign())
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        flags = struct.unpack_from("<H", data, at + 8)[0]
        struct.pack_into("<H", data, at + 8, flags | 1)
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(data)


def two_roots(path: Path) -> None:
    write(path, benign())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/archive_format", "pt2")


def torch_save(path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, path)


def scripted(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"")
        archive.writestr("m/constants.pkl", b"")


def written_parameter(content: Any) -> None:
    relu = node(content, "relu")
    relu["target"] = "torch.ops.aten.relu_.default"
    relu["inputs"][0]["arg"] = {"as_tensor": {"name": "p_head_weight"}}


def unknown_operator(content: Any) -> None:
    node(content, "relu")["target"] = "torch.ops.aten.from_file.default"


def private_getattr(content: Any) -> None:
    node(content, "relu")["target"] = "torch.ops.aten.__class__.__init__"


def used_before(content: Any) -> None:
    content["graph_module"]["graph"]["nodes"].reverse()


def made_twice(content: Any) -> None:
    node(content, "relu")["outputs"][0]["as_tensor"]["name"] = "x"


def computed_stride(content: Any) -> None:
    graph = content["graph_module"]["graph"]
    factors = [{"name": "", "arg": {"as_int": number}, "kind": 1} for number in (2**16, 2**15)]
    product = {"target": "_operator.mul", "inputs": factors, "outputs": [{"as_sym_int": {"as_name": "stride"}}]}
    graph["nodes"].insert(0, product)
    argument(content, "conv2d", "stride", {"as_sym_ints": [{"as_name": "stride"}, {"as_int": 1}]})


def block(kind: str, *arguments: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        inputs = [{"name": "", "arg": value} for value in arguments]
        call = {"target": f"torch.ops.higher_order.{kind}", "inputs": inputs, "outputs": []}
        content["graph_module"]["graph"]["nodes"].insert(0, call)

    return change


BODY = {"as_graph": {"name": "g", "graph": {"nodes": [], "inputs": [{"as_tensor": {"name": "a"}}], "outputs": []}}}


def nested(content: Any) -> None:
    graph: Any = {"nodes": [], "inputs": [], "outputs": []}
    for _ in range(20):
        inner = [
            {"name": "", "arg": {"as_bool": True}},
            {"name": "", "arg": {"as_graph": {"name": "g", "graph": graph}}},
        ]
        call = {"target": "torch.ops.higher_order.wrap_with_set_grad_enabled", "inputs": inner, "outputs": []}
        graph = {"nodes": [call], "inputs": [], "outputs": []}
    content["graph_module"]["graph"]["nodes"].insert(0, graph["nodes"][0])


MALFORMED: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (lambda path: void(path.write_bytes(b"")), "not a .pt2 archive"),
    "text": (lambda path: void(path.write_text("hello")), "not a .pt2 archive"),
    "truncated": (truncated, "not a .pt2 archive"),
    "flipped_bit": (flipped_weight, "weight_0 in model.pt2 is damaged"),
    "overlapping": (overlapping, "overlapping entries"),
    "encrypted": (encrypted, "encrypted"),
    "deflated": (lambda path: void(write(path, benign(), compression=zipfile.ZIP_DEFLATED)), "compressed"),
    "two_roots": (two_roots, "not one that torch.export.save wrote"),
    "torch_save": (torch_save, "torch.save file"),
    "torchscript": (scripted, "TorchScript"),
    "traversal": (with_file(**{"data/../../evil": b""}), "unsafe name"),
    "same_name": (with_file(**{"Archive_Format": b"pt2"}), "two entries of the same name"),
    "big_endian": (with_file(byteorder=b"big"), "big-endian"),
    "two_models": (with_file(**{"models/other.json": b"{}"}), "2 exported programs"),
    "deep_json": (with_file(**{MODEL: b"[" * 200_000}), "too deeply nested"),
    "huge_int_json": (with_file(**{MODEL: b"9" * 5000}), "not valid JSON"),
    "not_json": (with_file(**{MODEL: b"\xff\xfe{"}), "not valid JSON"),
    "wrong_json": (with_file(**{MODEL: b"[]"}), "damaged or was changed by hand"),
    "bad_card": (with_file(**{"extra/oga.json": b'{"modality": "smell"}'}), "Unknown modality"),
    "missing_weight": (in_weights(lambda config: config["head.bias"].update(path_name="weight_50")), "has no entry"),
    "missing_name": (in_weights(lambda config: void(config.pop("head.bias"))), "'head.bias' is missing"),
    "payload_path": (in_weights(lambda config: config["head.bias"].update(path_name="../x")), "lies in"),
    "past_the_end": (in_meta(storage_offset={"as_int": 1}), "more than the 384 bytes stored"),
    "far_offset": (in_meta(storage_offset={"as_int": 2**62}), "more than the 384 bytes stored"),
    "large_stride": (in_meta(strides=sizes(2**61, 1)), "which no memory holds"),
    "expanded": (in_meta(sizes=sizes(10**6, 10**6), strides=sizes(0, 0)), "more than the 384 bytes stored"),
    "huge_size": (in_meta(sizes=sizes(2**63, 1)), "too large"),
    "negative_size": (in_meta(sizes=sizes(-1, 32)), "fixed size"),
    "negative_stride": (in_meta(strides=sizes(-32, 1)), "fixed size"),
    "size_of_bool": (in_meta(sizes=[{"as_int": True}, {"as_int": 32}]), "should be int"),
    "symbolic_size": (in_meta(sizes=[{"as_expr": {"expr_str": "s0"}}, {"as_int": 32}]), "fixed size"),
    "too_many_dims": (in_meta(sizes=sizes(*[1] * 99), strides=sizes(*[1] * 99)), "99 sizes"),
    "sparse": (in_meta(layout=2), "sparse"),
    "float8": (in_meta(dtype=29), "dtype number 29"),
    "writes_parameter": (in_model(written_parameter), "writes into its own input, buffer or parameter"),
    "from_file": (in_model(unknown_operator), "aten.from_file.default, which is not on the list"),
    "attribute_chain": (in_model(private_getattr), "which is not on the list"),
    "used_before": (in_model(used_before), "used before it is made"),
    "made_twice": (in_model(made_twice), "used twice"),
    "nested_graphs": (in_model(nested), "nested too deeply"),
    "computed_stride": (in_model(computed_stride), "computes stride of aten.conv2d"),
    "other_block": (in_model(block("cond", {"as_bool": True}, BODY)), "higher_order.cond, which is not on the list"),
    "block_without_body": (in_model(block("wrap_with_autocast", BODY)), "has no body"),
    "block_without_switch": (in_model(block("wrap_with_set_grad_enabled", {"as_int": 1}, BODY)), "should be bool"),
    "block_without_inputs": (in_model(block("wrap_with_set_grad_enabled", {"as_bool": True}, BODY)), "0 values for 1"),
    "unknown_argument": (in_model(lambda c: argument(c, "relu", "evil", {"as_int": 1})), "unknown argument 'evil'"),
    "huge_argument": (in_model(lambda c: argument(c, "flatten", "start_dim", {"as_int": 2**70})), "too large"),
    "odd_argument": (in_model(lambda c: argument(c, "relu", "self", {"as_custom_obj": {}})), "as_custom_obj"),
    "forward_name": (in_weights(lambda config: config.update({"forward.x": config["head.bias"]})), "Rename it"),
    "empty_name": (in_weights(lambda config: config.update({"a..b": config["head.bias"]})), "the tensor name"),
}
