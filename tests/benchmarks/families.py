"""Every language-model family that transformers builds from a small config: is it taken, and if not, why.

python tests/benchmarks/families.py [--only llama,t5] [--part 1/4] [--out families.json]

A family is built with random weights and few layers, saved as transformers saves it, loaded as an upload is, checked
as before any run, and scored on a few rows with the gradient of every parameter. One line each: taken, refused (and
what the person is told), or not built (transformers itself makes no such small model).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oga_core.models.huggingface import config

sys.path[:0] = [str(Path(__file__).parents[1] / "tasks" / "language")]

VOCABULARY = 420
LARGEST = 5_000_000  # parameters of a model that is still small
_SMALL: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "embedding_size"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "d_embed", "encoder_hidden_size", "decoder_hidden_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_blocks"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers", "num_encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "num_key_value_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads", "num_encoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "ffn_hidden_size", "inner_dim"), 48),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"), 64),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "n_group", "topk_group"), 1),
    **dict.fromkeys(("local_radius", "global_block_size", "block_size", "rotary_dim"), 4),
    **dict.fromkeys(("head_dim", "d_kv", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "kv_channels"), 8),
    **dict.fromkeys(("expand", "mamba_expand", "n_groups", "mamba_n_groups"), 1),
    "mamba_n_heads": 4,
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "state_size", "mamba_d_state"), 8),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input", "src_vocab_size", "tgt_vocab_size"), VOCABULARY),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0),
}
_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
_HALF = {
    **dict.fromkeys(("hidden_size", "cross_attention_hidden_size"), 32),
    **{"intermediate_size": 48, "vocab_size": VOCABULARY, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 4},
    "layer_types": ["sliding_attention", "full_attention"],
}
_INKLING = {
    **dict.fromkeys(("swa_num_attention_heads", "swa_num_key_value_heads", "d_rel"), 4),
    **dict.fromkeys(("swa_head_dim", "sliding_window_size", "rel_extent", "loop_gate_rank"), 8),
    **{"unpadded_vocab_size": VOCABULARY, "n_layers_per_attn_res_block": 1, "num_experts_per_tok": 2},
}
_OWN: dict[str, dict[str, Any]] = {
    "cohere_compass_text": {"rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10_000.0, "clip_qkv": 8},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "ernie4_5_moe": {"moe_k": 2},
    "inkling2_loop_text": _INKLING | {"loop_layer_index_start": 1, "loop_layer_index_end": 2, "loop_num_passes": 2},
    "inkling2_text": _INKLING,
    "kimi_linear": {"linear_head_dim": 8, "linear_num_heads": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": {"zero_expert_num": 2, "expert_ffn_hidden_size": 32, "moe_topk": 2},
    "mimo_v2_flash": {"head_dim": 24, "v_head_dim": 16, "num_key_value_heads": 2},
    "nemotron_h": {"mamba_num_heads": 4, "mamba_head_dim": 8, "ssm_state_size": 8, "num_experts_per_tok": 2},
    "gemma3n_text": {
        **{"laurel_rank": 8, "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0, "intermediate_size": 48},
        **{"activation_sparsity_pattern": [0.0, 0.0], "layer_types": ["sliding_attention", "full_attention"]},
    },
    "granitemoehybrid": {"layer_types": ["mamba", "attention"], "shared_intermediate_size": 48},
    "t5gemma": {"encoder": _HALF, "decoder": _HALF},
    "zamba": {
        **{"attention_hidden_size": 64, "attention_head_dim": 16, "mamba_dt_rank": 4, "num_hidden_layers": 6},
        **{"attn_layer_period": 2, "attn_layer_offset": 1},
    },
    "zamba2": {
        **{"attention_hidden_size": 64, "attention_head_dim": 16, "adapter_rank": 4, "num_hidden_layers": 4},
        **{"layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"], "n_mamba_heads": 8, "mamba_headdim": 4},
    },
    "roc_bert": dict.fromkeys(("pronunciation_embed_dim", "shape_embed_dim"), 16)
    | dict.fromkeys(("pronunciation_vocab_size", "shape_vocab_size"), VOCABULARY),
    "xlm": {"causal": True},
    "xmod": {"default_language": "en_XX"},
}
"""What single families call sizes that have no common name, leave open, or need to be larger."""
_DERIVED = ("num_key_value_heads", "head_dim")
"""Sizes that some families leave open in their default configuration and miss when they are built."""
LARGEST_DIFFERENCE = 1e-4
"""Of a loss, relative: float32 adds up in another order where there is padding; a token more or less is a per cent."""
ROWS = [{"prompt": "the quick " * (1 + i % 3), "completion": "brown fox " * (1 + i % 4)} for i in range(6)]


def families() -> dict[str, tuple[str, str]]:
    """The model types of both kinds of language models, with their kind and class."""
    from transformers.models.auto import modeling_auto as auto

    causal = {name: ("causal", _first(network)) for name, network in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}
    seq2seq = auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    both = {f"{name} (seq2seq)": ("seq2seq", _first(network)) for name, network in seq2seq.items()}
    return causal | both


def _first(network: Any) -> str:
    return network if isinstance(network, str) else network[0]


def small_config(model_type: str, kind: str) -> Any:
    """The family's own default configuration with every size that it knows made small."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[model_type]
    known = vars(config_class())
    values = {name: value for name, value in _SMALL.items() if isinstance(known.get(name), int)}
    values |= {name: _SMALL[name] for name in _DERIVED if name in known and known[name] is None}
    if kind == "causal" and "is_decoder" in known:
        values["is_decoder"] = True
    if kind == "seq2seq":
        values["decoder_start_token_id"] = 0
    return config_class(**values | _OWN.get(model_type, {}))


def outcome(name: str, kind: str, network: str, folder: Path) -> tuple[str, str]:
    """Taken, refused or not built, and what there is to say."""
    import transformers
    from tokenizers_of_language import byte_level

    try:
        torch.manual_seed(0)
        small = small_config(name.split(" ")[0], kind)
        with torch.device("meta"):
            n_parameters = sum(parameter.numel() for parameter in getattr(transformers, network)(small).parameters())
        if n_parameters > LARGEST:
            return "not built", f"{n_parameters:,} parameters even from these sizes"
        model = getattr(transformers, network)(small)
        model.config.use_cache = False
        model.save_pretrained(folder)
        byte_level(bos=True).save_pretrained(folder)
    except Exception as error:  # what transformers raises for a configuration of odd sizes
        return "not built", f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
    return scored(folder, model.eval())


def scored(folder: Path, built: torch.nn.Module) -> tuple[str, str]:
    """Score a few rows with the model in the folder, and compare their losses with those of the model it was saved of.

    The rows are of several lengths, so that most are padded; `built` sees each alone.
    """
    from oga_core.errors import OgaError
    from oga_core.gradients.options import PassOptions
    from oga_core.gradients.passes import gradient_pass
    from oga_core.models import load_model
    from oga_core.pipeline.trial import check_some, stop_on_failure
    from oga_core.readers import read_samples
    from oga_core.tasks.prepare import prepare

    data = folder / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, ROWS)))
    try:
        loaded = load_model(folder)
        samples, task = prepare(read_samples(data), loaded)
        stop_on_failure(check_some(loaded, task, samples))
        options = PassOptions("all", device="cpu", batch_size=3)
        result = gradient_pass(task, loaded.module, samples, folder=folder / "arrays", options=options)
    except OgaError as error:
        return "refused", str(error)
    except Exception as error:
        return "FAULT", f"{type(error).__name__}: {error}"
    sketch = result.sketch
    if not np.isfinite(sketch.sketch).all() or len(sketch) != len(ROWS):
        return "FAULT", "gradients that are not finite"
    with torch.no_grad():
        batches = [task.batch(samples, np.array([row])) for row in range(len(samples))]
        alone = torch.cat([task.losses(task.outputs(built, batch), batch) for batch in batches]).numpy()
    difference = float(np.abs(sketch.losses / alone - 1).max())
    if difference > LARGEST_DIFFERENCE:
        return "FAULT", f"losses differ from those of each row alone by {difference:.1e}"
    words = f"coverage {sketch.coverage:.2f}, largest error {sketch.check_error:.1e}, alone {difference:.0e}"
    return "taken", "; ".join([words, *result.notes])


def main() -> None:
    """Go through the families and print what becomes of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--every-type", action="store_true", help="also the types that an upload may not have")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.every_type:
        config.MODEL_TYPES = frozenset(name.split(" ")[0] for name in families())
    part, of = map(int, options.part.split("/"))
    chosen = {n: v for n, v in families().items() if not options.only or n.split(" ")[0] in options.only.split(",")}
    results = {}
    for name in sorted(chosen)[part - 1 :: of]:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            results[name] = outcome(name, *chosen[name], Path(folder))
        print(f"{name}\t{results[name][0]}\t{results[name][1][:200]}\t{time.perf_counter() - start:.1f} s", flush=True)
        if options.out:
            options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
