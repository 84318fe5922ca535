"""LoRA adapters of PEFT on a Hugging Face base model; PEFT never reads the adapter's files itself."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch

from oga_core.errors import OgaError, unknown
from oga_core.models.card import ModelCard
from oga_core.models.folders import find_base, read_json
from oga_core.models.huggingface.config import clean_config
from oga_core.models.huggingface.derived import carded, prepared
from oga_core.models.huggingface.network import build
from oga_core.models.huggingface.quantised import NOTE, dequantised, is_bitsandbytes
from oga_core.models.huggingface.weights import read_folder_weights, storage_notes
from oga_core.models.loaded import LoadedModel
from oga_core.models.refusals import reason, refusal
from oga_core.models.safetensors import DTYPES, Weights, read_safetensors
from oga_core.models.tokenizer import load_tokenizer
from oga_core.samples import Modality

_TASKS: dict[str, Modality] = {"CAUSAL_LM": "causal_lm", "SEQ_2_SEQ_LM": "causal_lm", "SEQ_CLS": "text"}
_NUMBERS = {"r": 8, "lora_alpha": 8}
_FLAGS = ("fan_in_fan_out", "use_rslora", "use_dora", "lora_bias", "ensure_weight_tying")
_NAME_LISTS = ("target_modules", "modules_to_save", "exclude_modules")
# What says nothing about the arithmetic of a finished adapter.
_IGNORED = frozenset(
    {"auto_mapping", "base_model_name_or_path", "inference_mode", "lora_dropout", "peft_type", "peft_version"}
    | {"task_type", "init_lora_weights", "runtime_config", "megatron_core", "qalora_group_size", "revision"}
)
_PLAIN_NAME = re.compile(r"[\w.\-]{1,200}")
_HEAD_NAMES = ("classifier", "score")
_EMBEDDINGS = ("embed_tokens", "lm_head")


def load_peft(folder: Path, card: ModelCard | None = None, base: Path | None = None) -> LoadedModel:
    """Load a LoRA adapter and its base, with the adapter's parameters (and no others) trainable.

    base: the base model's folder; by default the subfolder `base`, else a folder beside the adapter with the name that
    adapter_config.json gives. Raises `OgaError` when a tensor of the adapter is missing, left over or of another shape.
    """
    raw = read_json(folder / "adapter_config.json")
    weights = _adapter_weights(folder)
    config = _lora_config(raw, weights)
    modality = _TASKS[raw["task_type"]]
    base = base or find_base(folder, raw)
    base_raw, base_weights, notes = _base(base)
    trained_heads = tuple(f"{name}." for name in config.modules_to_save or () if name in _HEAD_NAMES)
    if modality == "text":
        _set_classes(base_raw, weights, card)
    module, _ = build(base_raw, base_weights, origin=base.name, head=modality, optional=trained_heads)
    adapted = _adapted(module, config, weights, folder.name)
    has_own = any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))
    tokenizer = load_tokenizer(folder if has_own else base, base_raw["model_type"])
    card = carded(card, module.config, modality, tokenizer, folder)
    prepared(module, tokenizer)
    named = Path(str(raw.get("base_model_name_or_path") or base.name)).name
    if named != base.name and base.parent != folder:
        notes.append(f"The adapter was trained on {named!r}; the base model used is {base.name!r}.")
    return LoadedModel(adapted.eval(), card, "peft", tokenizer, tuple(notes))


def _base(folder: Path) -> tuple[dict[str, Any], Weights, list[str]]:
    """The configuration and the weights of a base model, those of 8 and 4 bits multiplied out, and notes on both."""
    raw = read_json(folder / "config.json")
    is_packed = is_bitsandbytes(raw)
    if is_packed:
        del raw["quantization_config"]
    raw, notes = clean_config(raw)
    if is_packed:
        weights = dequantised(read_folder_weights(folder, (*DTYPES, torch.int8)), folder.name)
        return raw, weights, [*notes, NOTE]
    weights = read_folder_weights(folder)
    return raw, weights, notes + storage_notes(weights)


def _adapter_weights(folder: Path) -> Weights:
    path = folder / "adapter_model.safetensors"
    if path.is_file():
        return {name: tensor.float() for name, tensor in read_safetensors(path).items()}
    if (folder / "adapter_model.bin").exists():
        raise refusal("bin", folder / "adapter_model.bin")
    raise OgaError(
        f"{folder.name} has no adapter_model.safetensors. Save the adapter: peft_model.save_pretrained(folder)."
    )


def _lora_config(raw: dict[str, Any], weights: Weights) -> Any:
    """Build the configuration from the known keys; what PEFT would match as a regular expression is refused."""
    from peft import LoraConfig

    if raw.get("peft_type") != "LORA":
        raise unknown("peft_type in adapter_config.json:", raw.get("peft_type"), ["LORA"])
    if str(raw.get("task_type")) not in _TASKS:
        raise unknown("task_type in adapter_config.json:", raw.get("task_type"), _TASKS)
    if raw.get("init_lora_weights", True) not in (True, False, "gaussian"):
        raise OgaError(
            f"adapter_config.json says init_lora_weights {raw['init_lora_weights']!r}, which changes the base model. "
            "Merge the adapter and save the whole model: peft_model.merge_and_unload().save_pretrained(folder)."
        )
    settings: dict[str, Any] = {key: _number(raw, key, default) for key, default in _NUMBERS.items()}
    settings |= {key: bool(raw.get(key)) for key in _FLAGS}
    settings |= {key: _names(raw, key) for key in _NAME_LISTS}
    settings |= {key: _pattern(raw, key) for key in ("rank_pattern", "alpha_pattern")}
    settings["layers_to_transform"] = _layers(raw)
    settings["bias"] = raw.get("bias", "none")
    if settings["bias"] not in ("none", "all", "lora_only"):
        raise unknown("bias in adapter_config.json:", settings["bias"], ["none", "all", "lora_only"])
    others = {key for key, value in raw.items() if value not in (None, False, {}, [])}
    if strange := sorted(others - settings.keys() - _IGNORED - {"layers_pattern"}):
        raise OgaError(
            f"adapter_config.json uses {', '.join(strange[:4])}, which OGA does not support. Merge the adapter and "
            "save the whole model: peft_model.merge_and_unload().save_pretrained(folder)."
        )
    _check_rank(settings, weights)
    layers_pattern = _names(raw, "layers_pattern") if settings["layers_to_transform"] else None
    settings |= {"task_type": raw["task_type"], "layers_pattern": layers_pattern}
    try:
        return LoraConfig(inference_mode=False, **settings)
    except (ValueError, TypeError, RuntimeError) as error:
        raise OgaError(f"adapter_config.json describes no LoRA adapter: {reason(error)}. Save it again.") from None


def _number(raw: dict[str, Any], key: str, default: int) -> int | float:
    value = raw.get(key, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1e6:
        raise OgaError(f"{key!r} in adapter_config.json must be a number above 0, got {str(value)[:80]!r}.")
    return value


def _names(raw: dict[str, Any], key: str) -> list[str] | None:
    value = raw.get(key)
    if isinstance(value, str) and value != "all-linear" and _PLAIN_NAME.fullmatch(value) and key == "layers_pattern":
        value = [value]
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) and _PLAIN_NAME.fullmatch(name) for name in value):
        raise OgaError(
            f"{key!r} in adapter_config.json must be a list of module names, got {str(value)[:80]!r}. "
            "A pattern can take forever to match: write the names as a list."
        )
    return list(value)


def _pattern(raw: dict[str, Any], key: str) -> dict[str, int | float]:
    value = raw.get(key) or {}
    if not isinstance(value, dict) or not all(_PLAIN_NAME.fullmatch(name) for name in value):
        raise OgaError(
            f"{key!r} in adapter_config.json must map plain module names to numbers, got {str(value)[:80]!r}."
        )
    return {name: _number(value, name, 0) for name in value}


def _layers(raw: dict[str, Any]) -> list[int] | None:
    value = raw.get("layers_to_transform")
    value = [value] if isinstance(value, int) else value
    if value is not None and (not isinstance(value, list) or not all(isinstance(layer, int) for layer in value)):
        raise OgaError(f"'layers_to_transform' in adapter_config.json must list numbers, got {str(value)[:80]!r}.")
    return value or None


def _check_rank(settings: dict[str, Any], weights: Weights) -> None:
    """PEFT allocates by the configured rank before it looks at the tensors."""
    sizes = {tensor.shape[0] for name, tensor in weights.items() if name.endswith("lora_A.weight")}
    sizes |= {tensor.shape[1] for name, tensor in weights.items() if "lora_embedding_B" in name and tensor.dim() == 2}
    ranks = {settings["r"], *settings["rank_pattern"].values()}
    if not sizes or max(ranks) > max(sizes):
        raise OgaError(
            f"adapter_config.json says rank {max(ranks)}, but the adapter's tensors have rank "
            f"{', '.join(map(str, sorted(sizes))) or 'none'}. Save the adapter: peft_model.save_pretrained(folder)."
        )


def _set_classes(base_raw: dict[str, Any], weights: Weights, card: ModelCard | None) -> None:
    """A head that the adapter brings decides how many classes there are, not the base model's configuration."""
    heads = [
        tensor.shape[0]
        for name, tensor in weights.items()
        if tensor.dim() == 2 and any(f".{head}." in name for head in _HEAD_NAMES) and "lora_" not in name
    ]
    labels = base_raw.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    if heads and heads[-1] != len(labels):
        names = card.classes if card and len(card.classes) == heads[-1] else [f"LABEL_{i}" for i in range(heads[-1])]
        base_raw["id2label"] = {str(index): name for index, name in enumerate(names)}
        base_raw["label2id"] = {name: index for index, name in enumerate(names)}


def _adapted(module: Any, config: Any, weights: Weights, origin: str) -> Any:
    """Wrap the base, compare every tensor of the adapter with what the wrapped model has a place for, put them in."""
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that it has given up
            adapted = get_peft_model(module, config)
    except (ValueError, TypeError, RuntimeError, NotImplementedError, KeyError) as error:
        raise OgaError(f"The adapter {origin} does not fit its base model: {reason(error)}.") from None
    wanted = {
        name: tuple(tensor.shape)
        for name, tensor in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wanted |= {name: shape for name, shape in _adapted_embeddings(adapted).items() if name in shapes}
    different = sorted(name for name in wanted.keys() | shapes.keys() if wanted.get(name) != shapes.get(name))
    if different:
        raise OgaError(
            f"The adapter {origin} does not fit its base model: {len(different)} tensor(s) are missing, left over or "
            f"of another shape, such as {different[0]}. Give the base model that it was trained on, and all of the "
            "adapter."
        )
    set_peft_model_state_dict(adapted, weights)
    return adapted


def _adapted_embeddings(adapted: Any) -> dict[str, tuple[int, ...]]:
    """Return name and shape of the embeddings under an adapter, which PEFT saves with it."""
    endings = tuple(f"{name}.base_layer.weight" for name in _EMBEDDINGS)
    return {name: tuple(tensor.shape) for name, tensor in adapted.state_dict().items() if name.endswith(endings)}
