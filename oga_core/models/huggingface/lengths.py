"""How many tokens a text may have."""

from __future__ import annotations

from typing import Any

from oga_core.samples import Modality

_POSITIONS_AFTER_PADDING = ("camembert", "mpnet", "roberta", "xlm-roberta")
_MAX_LENGTH: dict[Modality, int] = {"text": 512, "causal_lm": 1024}


def max_length(config: Any, tokenizer: Any, modality: Modality) -> int:
    """Tokens a text may have: what the tokenizer was set to in training, within what the network has positions for."""
    positions = getattr(config, "max_position_embeddings", None) or _MAX_LENGTH[modality]
    if getattr(config, "model_type", None) in _POSITIONS_AFTER_PADDING:
        positions -= (config.pad_token_id or 0) + 1
    limits = [positions, tokenizer.model_max_length, tokenizer.init_kwargs.get("max_length"), _MAX_LENGTH[modality]]
    return int(min(limit for limit in limits if isinstance(limit, (int, float)) and limit >= 2))
