"""Model files that attack whoever opens them, built from scratch and without a network.

Every payload, if it ran, would write the marker file. `ATTACKS` names for each file what its refusal must say; a `None`
means that the file loads and its payload stays asleep.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

CARD = {"modality": "tabular", "classes": ["a", "b"], "input": {"features": ["x", "y", "z"]}}


@dataclass(frozen=True)
class Attack:
    build: Callable[[Path, Path], Path]
    refused: str | None


ATTACKS: dict[str, Attack] = {}


def attack(refused: str | None) -> Callable[[Callable[[Path, Path], Path]], Callable[[Path, Path], Path]]:
    """Register a builder `(folder, marker) -> path`; `refused` is a regular expression of the error's message."""

    def register(build: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        ATTACKS[build.__name__] = Attack(build, refused)
        return build

    return register


class Payload:
    """Unpickling it writes the marker."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


# --- torch.save


def rewrite(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip again with changed entries."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))
    return path


def weights() -> dict[str, torch.Tensor]:
    return {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}


@attack("holds more than weights.*posix.system")
def torch_zip_pickle(folder: Path, marker: Path) -> Path:
    torch.save({**weights(), "extra": Payload(marker)}, folder / "model.pt")
    return folder / "model.pt"


@attack("is a pickle")
def torch_legacy_pickle(folder: Path, marker: Path) -> Path:
    torch.save({"extra": Payload(marker)}, folder / "model.pt", _use_new_zipfile_serialization=False)
    return folder / "model.pt"


@attack("is a pickle")
def torch_raw_pickle(folder: Path, marker: Path) -> Path:
    (folder / "model.pth").write_bytes(pickle.dumps(Payload(marker)))
    return folder / "model.pth"


@attack("is a tar archive")
def torch_tar(folder: Path, marker: Path) -> Path:
    with tarfile.open(folder / "model.pt", "w") as archive:
        content = pickle.dumps(Payload(marker))
        for name in ("pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return folder / "model.pt"


@attack("holds more than weights.*Linear")
def torch_full_module(folder: Path, marker: Path) -> Path:
    torch.save(nn.Linear(3, 2), folder / "model.pt")
    return folder / "model.pt"


@attack("holds more than weights.*argparse.Namespace")
def torch_namespace(folder: Path, marker: Path) -> Path:
    torch.save({"state_dict": weights(), "args": argparse.Namespace(lr=0.1)}, folder / "model.ckpt")
    return folder / "model.ckpt"


@attack("not a dense tensor|cannot be read")
def torch_sparse_out_of_bounds(folder: Path, marker: Path) -> Path:
    lying = torch.sparse_csr_tensor(
        torch.tensor([0, 10**6, 2 * 10**6]), torch.tensor([0, 1]), torch.ones(2), (2, 3), check_invariants=False
    )
    torch.save({"weight": lying, "bias": torch.zeros(2)}, folder / "model.pt")
    return folder / "model.pt"


@attack("not a dense tensor")
def torch_quantized(folder: Path, marker: Path) -> Path:
    quantized = torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8)
    torch.save({"weight": quantized, "bias": torch.zeros(2)}, folder / "model.pt")
    return folder / "model.pt"


_BOMB = 2 << 30  # bytes, more than the memory that a refusal may take


def add_bomb(archive: zipfile.ZipFile, name: str) -> None:
    """Add `_BOMB` zeros as a valid deflated entry, one compressed piece written many times."""
    piece = bytes(16 << 20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
    info = zipfile.ZipInfo(name)
    archive.writestr(info, packed * (_BOMB // len(piece)) + deflate.flush())
    checksum = 0
    for _ in range(_BOMB // len(piece)):
        checksum = zlib.crc32(piece, checksum)
    info.compress_type, info.file_size, info.CRC = zipfile.ZIP_DEFLATED, _BOMB, checksum


@attack("unpack to")
def torch_deflate_bomb(folder: Path, marker: Path) -> Path:
    """One tensor of 2 GiB of zeros."""
    path, few, many = folder / "model.pt", 70_000, _BOMB // 4
    torch.save({"weight": torch.zeros(few)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if len(content) == 4 * few:
                add_bomb(archive, name)
            else:
                archive.writestr(name, content.replace(struct.pack("<i", few), struct.pack("<i", many)))
    return path


@attack("is compressed")
def torch_deflated(folder: Path, marker: Path) -> Path:
    torch.save(weights(), folder / "model.pt")
    return rewrite(folder / "model.pt", lambda name, content: content, zipfile.ZIP_DEFLATED)


@attack("cannot be read")
def torch_size_out_of_storage(folder: Path, marker: Path) -> Path:
    torch.save({"weight": torch.zeros(100)[:77]}, folder / "model.pt")
    return rewrite(folder / "model.pt", lambda name, content: content.replace(b"K\x4d", b"K\xff"))


@attack("larger than the file")
def torch_expanded(folder: Path, marker: Path) -> Path:
    torch.save({"weight": torch.zeros(1).expand(10**12), "bias": torch.zeros(2)}, folder / "model.pt")
    return folder / "model.pt"


@attack("holds no state dict")
def torch_without_tensors(folder: Path, marker: Path) -> Path:
    torch.save({"epoch": 3}, folder / "model.pt")
    return folder / "model.pt"


@attack("is a pickle")
def joblib_compressed(folder: Path, marker: Path) -> Path:
    (folder / "model.joblib").write_bytes(zlib.compress(pickle.dumps(Payload(marker))))
    return folder / "model.joblib"


# --- TorchScript


class Written(nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file(self.path, shared=True, size=16)


class Saving(nn.Module):
    """Writes a file while torch.jit.load is still reading it."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        torch.save(torch.ones(2), self.path)


@attack("is a TorchScript archive")
def jit_saves_while_loading(folder: Path, marker: Path) -> Path:
    torch.jit.script(Saving(str(marker))).save(str(folder / "model.pt"))
    return folder / "model.pt"


@attack("is a TorchScript archive")
def jit_writes_file(folder: Path, marker: Path) -> Path:
    torch.jit.script(Written(str(marker))).save(str(folder / "model.pt"))
    return folder / "model.pt"


@attack("is a TorchScript archive")
def jit_renamed(folder: Path, marker: Path) -> Path:
    return jit_writes_file(folder, marker).rename(folder / "model.zip")


# --- safetensors


def safetensors_file(folder: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def as_header(entries: dict[str, Any]) -> bytes:
    return json.dumps(entries).encode()


_GOOD = {"weight": entry([2, 3], 0, 24), "bias": entry([2], 24, 32)}
_DAMAGED = "is not a readable safetensors file"
SAFETENSORS: dict[str, tuple[str | None, Callable[[Path], Path]]] = {
    "empty": (_DAMAGED, lambda folder: (folder / "model.safetensors", (folder / "model.safetensors").touch())[0]),
    "length_huge": (_DAMAGED, lambda folder: safetensors_file(folder, as_header(_GOOD), bytes(32), 2**63)),
    "length_past_end": (_DAMAGED, lambda folder: safetensors_file(folder, as_header(_GOOD), b"", 10**6)),
    "not_utf8": (_DAMAGED, lambda folder: safetensors_file(folder, b'{"\xff\xfe": 1}')),
    "not_json": (_DAMAGED, lambda folder: safetensors_file(folder, b"{nonsense}")),
    "list": (_DAMAGED, lambda folder: safetensors_file(folder, b"[1, 2]")),
    "nested": (_DAMAGED, lambda folder: safetensors_file(folder, b'{"a":' * 20_000 + b"1" + b"}" * 20_000)),
    "offset_past_end": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 3], 0, 24)}), bytes(8)),
    ),
    "offsets_reversed": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 3], 24, 0)}), bytes(24)),
    ),
    "overlap": (
        _DAMAGED,
        lambda folder: safetensors_file(
            folder, as_header({"weight": entry([2, 3], 0, 24), "bias": entry([2], 8, 16)}), bytes(24)
        ),
    ),
    "shape_mismatch": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 300], 0, 24)}), bytes(24)),
    ),
    "shape_overflow": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2**62, 8], 0, 24)}), bytes(24)),
    ),
    "unknown_dtype": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([2, 3], 0, 24, "EVIL")}), bytes(24)),
    ),
    "negative_shape": (
        _DAMAGED,
        lambda folder: safetensors_file(folder, as_header({"weight": entry([-2, -3], 0, 24)}), bytes(24)),
    ),
    "hole": (
        _DAMAGED,
        lambda folder: safetensors_file(
            folder, as_header({"weight": entry([2, 3], 0, 24), "bias": entry([2], 32, 40)}), bytes(40)
        ),
    ),
    "metadata_only": ("recognises", lambda folder: safetensors_file(folder, b'{"__metadata__":{"a":"b"}}')),
    "good": (None, lambda folder: safetensors_file(folder, as_header(_GOOD), bytes(32))),
}
for _name, (_refused, _build) in SAFETENSORS.items():
    ATTACKS[f"safetensors_{_name}"] = Attack(lambda folder, marker, build=_build: build(folder), _refused)


# --- Hugging Face folders


def save_tokenizer(folder: Path, **settings: Any) -> None:
    """A word tokenizer of four words."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "film": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    known = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**known, "model_max_length": 16, **settings}))


def tiny_bert(folder: Path, **changes: Any) -> Path:
    """Save a BERT classifier of three classes; `changes` go into its config.json afterwards."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, id2label={0: "x", 1: "y", 2: "z"}, label2id={"x": 0, "y": 1, "z": 2},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    save_tokenizer(folder)
    change_json(folder / "config.json", **changes)
    return folder


def tiny_llama(folder: Path) -> Path:
    """Save a causal language model."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=5, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=16, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _module_source(folder: Path, marker: Path) -> None:
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")


@attack("needs code of its own")
def hf_auto_map(folder: Path, marker: Path) -> Path:
    _module_source(folder, marker)
    return tiny_bert(folder, auto_map={"AutoModelForSequenceClassification": "evil.Evil", "AutoConfig": "evil.Evil"})


@attack(None)
def hf_tokenizer_auto_map(folder: Path, marker: Path) -> Path:
    _module_source(folder, marker)
    tiny_bert(folder)
    change_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    return folder


@attack("weights in the pickle format")
def hf_bin(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"extra": Payload(marker)}, folder / "pytorch_model.bin")
    return folder


@attack("asks for the code 'org/kernel'")
def hf_kernel_private(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, _attn_implementation="org/kernel")


@attack("asks for the code 'org/kernel'")
def hf_kernel_public(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, attn_implementation="org/kernel")


@attack("asks for the code 'org/kernel'")
def hf_kernel_internal(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, _attn_implementation_internal="org/kernel")


@attack("asks for the code 'org/kernel'")
def hf_kernel_nested(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, text_config={"_attn_implementation": "org/kernel"})


@attack("asks for the code 'org/kernel'")
def hf_kernel_experts(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, experts_implementation="org/kernel")


@attack("needs code of its own")
def hf_fusion(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, fusion_config={"patch": "evil.Evil"})


@attack("needs code of its own")
def hf_other_weights(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, transformers_weights="../outside.safetensors")


def _quantization(method: str) -> Callable[[Path, Path], Path]:
    return lambda folder, marker: tiny_bert(folder, quantization_config={"quant_method": method, "bits": 4})


for _method in ("bitsandbytes", "gptq", "awq", "fp8", "unheard_of"):
    ATTACKS[f"hf_quantization_{_method}"] = Attack(_quantization(_method), "is quantised")


@attack("holds a model and an adapter_config.json")
def hf_adapter_in_folder(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/evil", "peft_type": "LORA"}')
    return folder


@attack("outside the model's folder")
def hf_index_outside(folder: Path, marker: Path) -> Path:
    inside = tiny_bert(folder / "inside")
    (inside / "model.safetensors").rename(folder / "outside.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.weight": "../outside.safetensors"}}
    (inside / "model.safetensors.index.json").write_text(json.dumps(index))
    return inside


@attack("parameters, but the weights hold|asks for|cannot build")
def hf_huge_config(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, hidden_size=2**20, intermediate_size=2**22)


@attack("asks for num_hidden_layers")
def hf_many_layers(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, num_hidden_layers=10**9)


@attack("asks for num_labels")
def hf_many_labels(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, num_labels=2**31)


@attack("asks for depths")
def hf_many_blocks(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, vision_config={"depths": [1, 10**9]})


@attack("parameters, but the weights hold|cannot build")
def hf_many_positions(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, max_position_embeddings=10**12)


@attack("lacks 2 tensor.*classifier")
def hf_headless(folder: Path, marker: Path) -> Path:
    from safetensors.torch import load_file, save_file

    tiny_bert(folder)
    kept = {
        name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if "classifier" not in name
    }
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@attack("neither a classifier nor a language model")
def hf_encoder(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, architectures=["BertModel"])


@attack("does not describe")
def hf_leftover_tensors(folder: Path, marker: Path) -> Path:
    from safetensors.torch import load_file, save_file

    tiny_bert(folder)
    more = {**load_file(folder / "model.safetensors"), "bert.extra.weight": torch.zeros(2)}
    save_file(more, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@attack("Unknown model_type")
def hf_unknown_type(folder: Path, marker: Path) -> Path:
    return tiny_bert(folder, model_type="lightglue", trust_remote_code=True)


@attack("not valid JSON")
def hf_nested_json(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "config.json").write_text('{"model_type":' * 100_000)
    return folder


@attack("tokenizer in .* cannot be loaded")
def hf_broken_tokenizer(folder: Path, marker: Path) -> Path:
    tiny_bert(folder)
    (folder / "tokenizer.json").write_text('{"model": 3}')
    return folder


@attack(None)
def hf_chat_template_loop(folder: Path, marker: Path) -> Path:
    """Loads; whoever applies the template hangs, which the worker's limit on silence ends."""
    tiny_llama(folder)
    loop = (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}"
        + "{% endfor %}" * 2
    )
    change_json(folder / "tokenizer_config.json", chat_template=loop)
    return folder


@attack("points outside the archive")
def hf_zip_traversal(folder: Path, marker: Path) -> Path:
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("../" * 12 + str(marker).lstrip("/"), "")
    return folder / "model.zip"


@attack("unpack to")
def hf_zip_bomb(folder: Path, marker: Path) -> Path:
    with zipfile.ZipFile(folder / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        add_bomb(archive, "model.safetensors")
    return folder / "model.zip"


@attack("not a readable zip file")
def zip_on_several_disks(folder: Path, marker: Path) -> Path:
    end64 = struct.pack("<4sLQL", b"PK\x06\x07", 7, 0, 9)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (folder / "model.pt").write_bytes(b"PK\x03\x04" + bytes(60) + end64 + end)
    return folder / "model.pt"


# --- PEFT


def adapter(folder: Path, **changes: Any) -> Path:
    """Save a LoRA adapter of rank 2 with its base model inside."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    tiny_llama(folder / "base")
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(folder)
    change_json(folder / "adapter_config.json", base_model_name_or_path="base", **changes)
    return folder


@attack("weights in the pickle format")
def peft_bin(folder: Path, marker: Path) -> Path:
    adapter(folder)
    (folder / "adapter_model.safetensors").unlink()
    torch.save({"extra": Payload(marker)}, folder / "adapter_model.bin")
    return folder


@attack("must be a list of module names")
def peft_redos(folder: Path, marker: Path) -> Path:
    return adapter(folder, target_modules="((.*)*)*x")


@attack("must be a list of module names")
def peft_redos_in_list(folder: Path, marker: Path) -> Path:
    return adapter(folder, exclude_modules=["((.*)*)*x"])


@attack("must map plain module names")
def peft_redos_in_pattern(folder: Path, marker: Path) -> Path:
    return adapter(folder, rank_pattern={"((.*)*)*x": 2})


@attack("says rank")
def peft_huge_rank(folder: Path, marker: Path) -> Path:
    return adapter(folder, r=999_999)


@attack("says rank")
def peft_huge_rank_pattern(folder: Path, marker: Path) -> Path:
    return adapter(folder, rank_pattern={"q_proj": 999_999})


@attack("missing, left over or")
def peft_missing_tensors(folder: Path, marker: Path) -> Path:
    from safetensors.torch import load_file, save_file

    adapter(folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file(dict(list(tensors.items())[1:]), folder / "adapter_model.safetensors")
    return folder


@attack("missing, left over or|does not fit its base model")
def peft_wrong_base(folder: Path, marker: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    adapter(folder)
    other = LlamaConfig(vocab_size=5, hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2)
    LlamaForCausalLM(other).save_pretrained(folder / "base")
    return folder


@attack("which OGA does not support")
def peft_imports_module(folder: Path, marker: Path) -> Path:
    return adapter(folder, megatron_config={"evil": 1}, megatron_core="evil")


@attack("is not there")
def peft_absolute_base(folder: Path, marker: Path) -> Path:
    adapter(folder / "adapter")
    (folder / "adapter" / "base").rename(folder / "elsewhere")
    change_json(folder / "adapter" / "adapter_config.json", base_model_name_or_path=str(folder / "elsewhere" / ".."))
    return folder / "adapter"


# --- skops


def skops_file(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Save a logistic regression and change its schema."""
    import numpy as np
    import skops.io
    from sklearn.linear_model import LogisticRegression

    path = folder / "model.skops"
    skops.io.dump(LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]), path)

    def edit(name: str, content: bytes) -> bytes:
        if name != "schema.json":
            return content
        schema = json.loads(content)
        change(schema)
        return json.dumps(schema).encode()

    return rewrite(path, edit)


@attack("holds types that are never loaded: .*system")
def skops_root_class(folder: Path, marker: Path) -> Path:
    return skops_file(folder, lambda schema: schema.update(__class__="system", __module__="posix"))


@attack("holds types that are never loaded|cannot be loaded")
def skops_function_node(folder: Path, marker: Path) -> Path:
    def change(schema: dict[str, Any]) -> None:
        function = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode", "__id__": 7}
        schema["content"]["content"]["C"] = function

    return skops_file(folder, change)


@attack("cannot be loaded")
def skops_object_array(folder: Path, marker: Path) -> Path:
    import numpy as np

    path = skops_file(folder, lambda schema: None)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    return rewrite(path, lambda name, content: buffer.getvalue() if name.endswith(".npy") else content)


@attack("has no gradient")
def skops_forest(folder: Path, marker: Path) -> Path:
    import numpy as np
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    skops.io.dump(RandomForestClassifier(2).fit(np.eye(4), [0, 1, 0, 1]), folder / "model.skops")
    return folder / "model.skops"


# --- ONNX with external data: the location is what attacks


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _onnx(location: str) -> Callable[[Path, Path], Path]:
    def build(folder: Path, marker: Path) -> Path:
        external = _field(1, b"location") + _field(2, location.encode())
        tensor = b"\x08\x04\x10\x01" + _field(8, b"weight") + _field(13, external) + b"\x70\x01"
        (folder / "model.onnx").write_bytes(b"\x08\x08" + _field(7, _field(5, tensor)))
        if location == "link":
            os.symlink("/etc/hostname", folder / "link")
        if location == "hard":  # of a file outside the model's folder; links of /etc fail across file systems
            secret = folder.with_name(f"{folder.name}.secret")
            secret.write_text("secret")
            os.link(secret, folder / "hard")
        return folder / "model.onnx"

    return build


for _name, _location in (
    ("parent", "../../../etc/hostname"),
    ("absolute", "/etc/hostname"),
    ("symlink", "link"),
    ("hard_link", "hard"),
):
    ATTACKS[f"onnx_{_name}"] = Attack(_onnx(_location), "is an ONNX model")


def build(name: str, folder: Path, marker: Path) -> Path:
    """Build one attack in a fresh folder, with a model card beside it where the format needs one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = build_quietly(lambda: ATTACKS[name].build(folder, marker))
    if path.is_file() and path.suffix != ".skops":
        path.with_suffix(".json").write_text(json.dumps(CARD))
    return path


def build_quietly(builder: Callable[[], Path]) -> Path:
    """Build without warnings: what is deprecated today is what old files hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return builder()
