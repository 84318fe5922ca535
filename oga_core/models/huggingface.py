"""Hugging Face folders: config.json, safetensors weights and a tokenizer; no code and no network.

transformers never reads the folder's configuration or weights itself: many keys of a config.json make it load code,
other files or kernels. The configuration is filtered and the weights are read here, and only then given to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from oga_core.errors import OgaError, unknown
from oga_core.models.card import ModelCard
from oga_core.models.folders import read_json, weight_files
from oga_core.models.loaded import LoadedModel
from oga_core.models.refusals import reason
from oga_core.models.tokenizer import load_tokenizer, max_length
from oga_core.models.weights import Weights, read_safetensors
from oga_core.samples import Modality

# fmt: off
MODEL_TYPES = frozenset({
    "albert", "beit", "bert", "bloom", "camembert", "convnext", "convnextv2", "deberta", "deberta-v2", "deit",
    "dinov2", "distilbert", "electra", "ernie", "falcon", "gemma", "gemma2", "gemma3_text", "gpt2",
    "gpt_bigcode", "gpt_neo", "gpt_neox", "gptj", "granite", "llama", "mistral", "mobilebert", "mobilenet_v2",
    "modernbert", "mpnet", "olmo", "olmo2", "opt", "phi", "phi3", "qwen2", "qwen3", "resnet", "roberta",
    "smollm3", "squeezebert", "stablelm", "starcoder2", "swin", "swinv2", "vit", "xlm-roberta",
})
# fmt: on
_HEADS: dict[str, Modality] = {
    "ForSequenceClassification": "text",
    "ForCausalLM": "causal_lm",
    "LMHeadModel": "causal_lm",
    "ForImageClassification": "image",
    "ForImageClassificationWithTeacher": "image",
}
_CODE_KEYS = re.compile(
    r"auto_map|trust_remote_code|custom_\w+|\w*kernel_config|use_kernels|fusion_config|transformers_weights|extra_files"
)
_IMPLEMENTATION_KEYS = re.compile(r"_?(attn|experts)_implementation\w*")
_BUILT_IN = (None, True, False, "eager", "sdpa", "flash_attention_2")
_DROPPED_KEYS = re.compile(
    r"_.*|dtype|torch_dtype|.*implementation.*|.*_plan|distributed_config|adapter.*|gradient_checkpointing|"
    r"quantization_config|output_attentions|output_hidden_states|return_dict|torchscript"
)
_COUNTS = re.compile(r".*layers?|.*depths?|.*blocks|.*experts")
_MAX_LABELS = 1_000_000


def load_huggingface(folder: Path, card: ModelCard | None = None) -> LoadedModel:
    """Load a classifier or a language model from a folder.

    Raises `OgaError` for a folder that needs code, for weights with missing or unexpected tensors (a model without its
    trained head), and for model types outside `MODEL_TYPES`.
    """
    if (folder / "adapter_config.json").exists():
        raise OgaError(
            f"{folder.name} holds a model and an adapter_config.json. Put the adapter's files into a folder of their "
            "own, with the base model in its subfolder 'base'."
        )
    raw, notes = clean_config(read_json(folder / "config.json"))
    weights = read_folder_weights(folder)
    module, modality = build(raw, weights, origin=folder.name)
    tokenizer = None if modality == "image" else load_tokenizer(folder, raw["model_type"])
    card = card or ModelCard.beside(folder) or derived_card(module.config, modality, tokenizer, folder)
    halves = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()} - {"float32", "int64"})
    if halves:
        notes.append(f"The weights were stored as {', '.join(halves)} and are used as float32.")
    return LoadedModel(prepared(module, tokenizer), card, "huggingface", tokenizer, tuple(notes))


def clean_config(raw: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Refuse what would make transformers run code, drop what it does not need for the arithmetic."""
    if str(raw.get("model_type")) not in MODEL_TYPES:
        raise unknown("model_type in config.json:", raw.get("model_type"), sorted(MODEL_TYPES))
    for key, value in _entries(raw):
        if _CODE_KEYS.fullmatch(key) and value not in (None, False, {}, []):
            raise OgaError(
                f"config.json has the key {key!r}: the model needs code of its own, which is never run. Package it "
                "where its code is: oga_core.package_model(model, example_batch, 'model.pt2', classes=[…])."
            )
        if _IMPLEMENTATION_KEYS.fullmatch(key) and not (isinstance(value, dict) or value in _BUILT_IN):
            raise OgaError(
                f"config.json asks for the code {value!r} ({key}), which is never fetched. Remove the key from "
                "config.json."
            )
        if key == "quantization_config" and value:
            raise OgaError(
                "The model is quantised (quantization_config in config.json); gradients need its unquantised weights. "
                "Save it as float16 or float32: model.dequantize().save_pretrained(folder)."
            )
    if raw.get("problem_type") not in (None, "single_label_classification"):
        raise OgaError(f"config.json says problem_type {raw['problem_type']!r}; OGA needs one class a sample.")
    dropped = sorted(key for key in raw if key.startswith(("_attn", "attn_impl", "_experts")) and raw[key] is not None)
    notes = [f"Ignored in config.json: {', '.join(dropped)}."] if dropped else []
    return _without_dropped(raw), notes


def _entries(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every key of the configuration and of the ones nested in it; what is in a list has the list's key."""
    if depth > 8:
        raise OgaError("config.json is nested too deeply. Save the model again.")
    items = value.items() if isinstance(value, dict) else [(name, item) for item in value]
    for key, item in items:
        yield key, item
        if isinstance(item, (dict, list)):
            yield from _entries(item, key, depth + 1)


def _without_dropped(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        key: _without_dropped(item)
        for key, item in value.items()
        if not _DROPPED_KEYS.fullmatch(key) and not _CODE_KEYS.fullmatch(key)
    }


def read_folder_weights(folder: Path) -> Weights:
    """Read model.safetensors, or the shards of its index, from this folder and no other."""
    weights: Weights = {}
    for path in weight_files(folder):
        shard = read_safetensors(path)
        if weights.keys() & shard.keys():
            raise OgaError(f"{path.name} repeats tensors of another shard. Save the model again.")
        weights |= shard
    strange = {name: tensor.dtype for name, tensor in weights.items() if tensor.dtype not in _DTYPES}
    if strange:
        name, dtype = next(iter(strange.items()))
        raise OgaError(
            f"{folder.name} holds {name!r} as {dtype}: quantised weights have no gradients. "
            "Save the model as float16 or float32."
        )
    return weights


_DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.bool,
    torch.uint8,
)


def build(
    raw: dict[str, Any], weights: Weights, *, origin: str, head: Modality | None = None, optional: tuple[str, ...] = ()
) -> tuple[Any, Modality]:
    """Build the network that a clean configuration describes and put the weights in, as float32.

    head: the kind of head, where config.json's `architectures` does not decide it. optional: first parts of the names
    of tensors that may be missing, because an adapter brings them.
    """
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    modality = head or _modality(raw, origin)
    _check_counts(raw, weights, origin)
    try:
        config = _config(raw)
        network = _network(config, modality)
        _check_size(network, config, weights, origin)
        module, info = network.from_pretrained(
            None,
            config=config,
            state_dict=dict(weights),
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except OgaError:
        raise
    except Exception as error:  # a configuration's wrong values surface as any exception of any layer
        raise OgaError(
            f"transformers cannot build the model that {origin}/config.json describes: {reason(error)}. "
            "Save the model again with model.save_pretrained(folder)."
        ) from None
    _check_loading(info, origin, bool(head), optional)
    return module, modality


def _modality(raw: dict[str, Any], origin: str) -> Modality:
    names = raw.get("architectures") or []
    for name in names if isinstance(names, list) else []:
        for ending, modality in _HEADS.items():
            if str(name).endswith(ending):
                return modality
    raise OgaError(
        f"{origin}/config.json names the architecture {names!r}, which is neither a classifier nor a language model. "
        "Save the fine-tuned model with its head: AutoModelForSequenceClassification … model.save_pretrained(folder)."
    )


def _config(raw: dict[str, Any]) -> Any:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[raw["model_type"]]
    methods = {key for key in raw if callable(getattr(config_class, key, None))}
    config = config_class.from_dict({key: value for key, value in raw.items() if key not in methods})
    config._attn_implementation = "eager"
    config.use_cache = False
    return config


def _network(config: Any, modality: Modality) -> Any:
    from transformers import AutoModelForCausalLM, AutoModelForImageClassification, AutoModelForSequenceClassification

    auto = {
        "text": AutoModelForSequenceClassification,
        "causal_lm": AutoModelForCausalLM,
        "image": AutoModelForImageClassification,
    }[modality]
    networks = auto._model_mapping
    if type(config) not in networks:
        raise OgaError(f"A model of type {config.model_type!r} cannot be used for {modality} data.")
    found = networks[type(config)]
    if not isinstance(found, tuple):
        return found
    # Several networks share one configuration, such as DeiT's with and without its teacher's head.
    return next((network for network in found if network.__name__ in (config.architectures or ())), found[0])


def _check_counts(raw: dict[str, Any], weights: Weights, origin: str) -> None:
    """Stop before time is spent on layers that the weights cannot fill."""
    for key, value in _entries(raw):
        if not isinstance(value, int):
            continue
        if (_COUNTS.fullmatch(key) and value > 16 * len(weights)) or (key == "num_labels" and value > _MAX_LABELS):
            raise OgaError(
                f"{origin}/config.json asks for {key} = {value:,}, but there are {len(weights)} tensors of weights."
            )


def _check_size(network: Any, config: Any, weights: Weights, origin: str) -> None:
    """Stop before memory is taken for a network that the weights cannot fill."""
    stored = sum(tensor.numel() for tensor in weights.values())
    with torch.device("meta"):
        skeleton = network(config)
    needed = sum(parameter.numel() for parameter in skeleton.parameters())
    buffers = sum(buffer.numel() for buffer in skeleton.buffers())
    if needed > 2 * stored + 1_000_000 or buffers > stored + 100_000_000:
        raise OgaError(
            f"{origin}/config.json describes a network of {needed:,} parameters, but the weights hold {stored:,} "
            "numbers. The configuration belongs to another model: save both again with model.save_pretrained(folder)."
        )


def _check_loading(info: Mapping[str, Any], origin: str, foreign_head: bool, optional: tuple[str, ...]) -> None:
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(optional or ("\0",)))
    if missing:
        raise OgaError(
            f"{origin} lacks {len(missing)} tensor(s) of the model: {', '.join(missing[:4])}. With random numbers in "
            "their place every score would be noise. Save the fine-tuned model with its head: "
            "model.save_pretrained(folder)."
        )
    unexpected = [] if foreign_head else sorted(info["unexpected_keys"])
    problems = unexpected or sorted(map(str, info["mismatched_keys"])) or list(info["error_msgs"])
    if problems:
        raise OgaError(
            f"{origin} holds tensors that its config.json does not describe: {', '.join(problems[:4])}. "
            "Save model and configuration together: model.save_pretrained(folder)."
        )


def prepared(module: Any, tokenizer: Any) -> nn.Module:
    """Put the network in eval mode; classifiers that read the last token need to know the padding."""
    if tokenizer is not None and module.config.pad_token_id is None:
        module.config.pad_token_id = tokenizer.pad_token_id
    evaluated: nn.Module = module.eval()
    return evaluated


def derived_card(config: Any, modality: Modality, tokenizer: Any, folder: Path) -> ModelCard:
    """Derive the card: classes from id2label, the longest input from tokenizer and configuration."""
    if modality == "causal_lm":
        return ModelCard(modality, (), {"max_length": max_length(config, tokenizer, modality)})
    labels = {int(index): str(name) for index, name in config.id2label.items()}
    classes = tuple(labels.get(index, f"LABEL_{index}") for index in range(config.num_labels))
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise OgaError(f"id2label in config.json must name two or more different classes, got {', '.join(classes)}.")
    if modality == "text":
        return ModelCard(modality, classes, {"max_length": max_length(config, tokenizer, modality)})
    return ModelCard(modality, classes, _image_input(config, folder))


def _image_input(config: Any, folder: Path) -> dict[str, Any]:
    path = folder / "preprocessor_config.json"
    settings = read_json(path) if path.is_file() else {}
    size: Any = settings.get("crop_size") or settings.get("size") or getattr(config, "image_size", 224)
    if isinstance(size, dict):
        edge = size.get("shortest_edge", getattr(config, "image_size", 224))
        size = [size.get("height", edge), size.get("width", edge)]
    card: dict[str, Any] = {
        "image_size": [size, size] if isinstance(size, int) else list(size),
        "channels": getattr(config, "num_channels", 3),
    }
    if settings.get("do_normalize", bool(settings)):
        card |= {key: settings[f"image_{key}"] for key in ("mean", "std") if f"image_{key}" in settings}
    return card
