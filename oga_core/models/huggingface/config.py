"""The configuration of a Hugging Face folder, filtered: many of its keys make transformers load code or other files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from oga_core.errors import OgaError
from oga_core.samples import Modality

# fmt: off
MODEL_TYPES = frozenset({
    "afmoe", "albert", "apertus", "apertus1p5_text", "arcee", "aria_text", "axk1", "axk2", "bailing_hybrid", "bamba",
    "bart", "beam", "beit", "bert", "bert-generation", "big_bird", "bigbird_pegasus", "biogpt", "bitnet", "blenderbot",
    "blenderbot-small", "bloom", "camembert", "codegen", "cohere", "cohere2", "cohere2_moe", "cohere_compass_text",
    "convnext", "convnextv2", "ctrl", "cwm", "data2vec-text", "dbrx", "deberta", "deberta-v2", "deepseek_v2",
    "deepseek_v3", "deepseek_v32", "deepseek_v4", "deit", "diffllama", "dinov2", "distilbert", "doge", "dory", "dots1",
    "dots3_note_text", "electra", "ernie", "ernie4_5", "ernie4_5_moe", "exaone", "exaone4", "exaone_moe", "falcon",
    "falcon_h1", "falcon_mamba", "flex_olmo", "flint", "fsmt", "gemma", "gemma2", "gemma3_text", "gemma3n_text",
    "gemma4_text", "gemma4_unified_text", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "gpt-sw3", "gpt2",
    "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_neox_japanese", "gpt_oss", "gptj", "granite", "granite_swa",
    "granitemoe", "granitemoe_swa", "granitemoehybrid", "granitemoeshared", "helium", "hrm_text", "hunyuan_v1_dense",
    "hunyuan_v1_moe", "hy_v3", "hy_v4", "hyperclovax", "inkling2_loop_text", "inkling2_text", "inkling_text",
    "internlm3", "iquestcoder", "jais2", "jamba", "jetmoe", "kimi_linear", "kolibri1", "laguna", "lara_mini", "led",
    "lfm2", "lfm2_moe", "lfm3", "llama", "llama4_text", "longcat_flash", "longt5", "m2m_100", "mamba", "mamba2",
    "marian", "mbart", "megatron-bert", "mellum", "mimo_v2_flash", "minicpm3", "minimax", "minimax_m2",
    "minimax_m3_vl_text", "ministral", "ministral3", "mistral", "mixtral", "mobilebert", "mobilenet_v2", "modernbert",
    "modernbert-decoder", "mpnet", "mpt", "mt5", "mvp", "nanochat", "nemotron", "nemotron_h", "nllb-moe", "olmo",
    "olmo2", "olmo3", "olmo_hybrid", "olmoe", "openai-gpt", "opt", "pegasus", "pegasus_x", "persimmon", "phi", "phi3",
    "phimoe", "plbart", "prophetnet", "qwen2", "qwen2_moe", "qwen3", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe",
    "qwen3_next", "qwen4_exp_text", "recurrent_gemma", "rembert", "resnet", "roberta", "roberta-prelayernorm",
    "roc_bert", "roformer", "rwkv", "sarvam_mla", "sarvam_moe", "seed_oss", "smollm3", "solar_open", "squeezebert",
    "stablelm", "starcoder2", "swin", "swinv2", "switch_transformers", "t5", "t5gemma", "umt5", "vaultgemma", "vit",
    "xglm", "xlm", "xlm-roberta", "xlm-roberta-xl", "xlstm", "xmod", "youtu", "zamba", "zamba2", "zaya",
})
# fmt: on
_CODE_KEYS = re.compile(
    r"auto_map|trust_remote_code|custom_\w+|\w*kernel_config|use_kernels|fusion_config|transformers_weights|extra_files"
)
_IMPLEMENTATION_KEYS = re.compile(r"_?(attn|experts)_implementation\w*")
_BUILT_IN = (None, True, False, "eager", "sdpa", "flash_attention_2")
_DROPPED_KEYS = re.compile(
    r"_.*|dtype|torch_dtype|.*implementation.*|.*_plan|distributed_config|gradient_checkpointing|"
    r"quantization_config|output_attentions|output_hidden_states|return_dict|torchscript"
)
_ADAPTERS = re.compile(r"adapter.*")
"""Keys that may name adapters to load; numbers among them are sizes of the network's own, as of Zamba2 and X-MOD."""
_COUNTS = re.compile(r".*layers?|.*depths?|.*blocks|.*experts|.*groups?|.*group_num|attention_types")
_MAX_LABELS = 1_000_000
_HEADS: dict[str, Modality] = {
    "ForSequenceClassification": "text",
    "ForTokenClassification": "text",
    "ForCausalLM": "causal_lm",
    "LMHeadModel": "causal_lm",
    "BertGenerationDecoder": "causal_lm",
    "ForConditionalGeneration": "causal_lm",
    "MarianMTModel": "causal_lm",
    "ForImageClassification": "image",
    "ForImageClassificationWithTeacher": "image",
}
_SENSES = re.compile(r"(audio|acoustic|speech|vision|image|vq)\w*_(config|encoder)")
"""Parts of a configuration by which a model hears or sees."""
_MASKED = re.compile(r"\w+ForMaskedLM|\w+ForPreTraining|XLNetLMHeadModel")

_FLOATS = ("Infinity", "-Infinity", "NaN")  # which JSON has no numbers for; transformers writes {"__float__": …}


def clean_config(raw: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Refuse what would make transformers run code, drop what it does not need for the arithmetic."""
    if str(raw.get("model_type")) not in MODEL_TYPES:
        check_trainable(raw)
        raise _unknown_family(raw)
    for key, value in entries(raw):
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
                "Give the model that it was made from, or save it as float16 or float32 where the library that packed "
                "it is installed: model.dequantize().save_pretrained(folder). Under a PEFT adapter, a base in 8 or 4 "
                "bits of bitsandbytes is read as it is."
            )
    if raw.get("problem_type") not in (None, "single_label_classification"):
        raise OgaError(f"config.json says problem_type {raw['problem_type']!r}; OGA needs one class a sample.")
    dropped = sorted(key for key in raw if key.startswith(("_attn", "attn_impl", "_experts")) and raw[key] is not None)
    notes = [f"Ignored in config.json: {', '.join(dropped)}."] if dropped else []
    return _without_dropped(raw), notes


def check_trainable(raw: dict[str, Any]) -> None:
    """Raise `OgaError` for an architecture that is trained on words hidden from it, not on rows as they are."""
    names = raw.get("architectures") or []
    for name in filter(_MASKED.fullmatch, map(str, names if isinstance(names, list) else [])):
        raise OgaError(
            f"{name} in config.json is a masked or permuted language model, which is trained to guess hidden words and "
            "has no loss on a row as it is. Score a causal or an encoder-decoder model, or fine-tune this one as a "
            "classifier: AutoModelForSequenceClassification.from_pretrained(folder)."
        )


def modality_of(raw: dict[str, Any], origin: str) -> Modality:
    """Return what an architecture reads, by the head it names. Raises `OgaError` for one without a trained head."""
    names = raw.get("architectures") or []
    for name in names if isinstance(names, list) else []:
        for ending, modality in _HEADS.items():
            if str(name).endswith(ending):
                return modality
    check_trainable(raw)
    raise OgaError(
        f"{origin}/config.json names the architecture {names!r}, which is neither a classifier nor a language model. "
        "Save the fine-tuned model with its head: AutoModelForSequenceClassification … model.save_pretrained(folder)."
    )


def tags_words(config: Any) -> bool:
    """Whether a configuration of transformers is of a model that gives every token a class."""
    return any(str(name).endswith("ForTokenClassification") for name in config.architectures or ())


def _unknown_family(raw: dict[str, Any]) -> OgaError:
    """What stands in the way of a family, and the call that packages its models."""
    family = f"{str(raw.get('model_type'))[:80]!r}"
    classifies = _classifies(raw)
    parts = [key for key, value in raw.items() if isinstance(value, dict) and _SENSES.fullmatch(key)]
    senses = [] if classifies else sorted(parts)
    why = f"Unknown model_type in config.json: {family}. Folders are read of families whose gradients were checked."
    if senses:
        why = f"Models of type {family} also take sound or pictures ({senses[0][:80]} in config.json); rows are words."
    what = "Package the part that reads words" if senses else "Package the model"
    rest = "classes=[…]" if classifies else "modality='causal_lm', tokenizer=tokenizer"
    return OgaError(
        f"{why} {what} where its code is: oga_core.package_model(model, example_batch, 'model.pt2', {rest})."
    )


def _classifies(raw: dict[str, Any]) -> bool:
    """Whether an architecture has classes, as far as it is named."""
    names = raw.get("architectures") or []
    return not isinstance(names, list) or not names or any("Classification" in str(name) for name in names)


def entries(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every key of the configuration and of the ones nested in it; what is in a list has the list's key."""
    if depth > 8:
        raise OgaError("config.json is nested too deeply. Save the model again.")
    items = value.items() if isinstance(value, dict) else [(name, item) for item in value]
    for key, item in items:
        yield key, item
        if isinstance(item, (dict, list)):
            yield from entries(item, key, depth + 1)


def _without_dropped(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_dropped(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"__float__"} and value["__float__"] in _FLOATS:
        return float(value["__float__"])
    return {
        key: _without_dropped(item)
        for key, item in value.items()
        if not _DROPPED_KEYS.fullmatch(key) and not _CODE_KEYS.fullmatch(key) and not _names_adapters(key, item)
    }


def _names_adapters(key: str, value: Any) -> bool:
    return _ADAPTERS.fullmatch(key) is not None and not isinstance(value, (int, float))


def check_counts(raw: dict[str, Any], n_tensors: int, origin: str) -> None:
    """Stop before time is spent on layers that the weights cannot fill."""
    for key, value in entries(raw):
        if not isinstance(value, int):
            continue
        if (_COUNTS.fullmatch(key) and value > 16 * n_tensors) or (key == "num_labels" and value > _MAX_LABELS):
            raise OgaError(
                f"{origin}/config.json asks for {key} = {value:,}, but there are {n_tensors} tensors of weights. The "
                "configuration belongs to another model: save both again with model.save_pretrained(folder)."
            )
