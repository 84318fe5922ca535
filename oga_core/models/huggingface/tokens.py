"""The tokenizer and the card of a model, without its weights: what is trained on can be seen before anything is run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from oga_core.models.archive import unpacked
from oga_core.models.card import ModelCard, first_card
from oga_core.models.folders import find_base, is_model_file, read_json
from oga_core.models.formats import model_format
from oga_core.models.huggingface.config import clean_config
from oga_core.models.huggingface.derived import carded
from oga_core.models.huggingface.network import read_config
from oga_core.models.tokenizer import load_tokenizer


def tokenizer_and_card(path: Path, card: ModelCard | None = None) -> tuple[Any, ModelCard]:
    """Return what `load_model` would give of a language model beside the network; the tokenizer is None without one.

    Folders of transformers and PEFT are read without their weights; other formats are loaded. Raises `OgaError`.
    """
    kind = model_format(path)
    if kind not in ("huggingface", "peft"):
        from oga_core.models import load_model

        loaded = load_model(path, card)
        return loaded.tokenizer, loaded.card
    with ExitStack() as opened:
        folder = opened.enter_context(unpacked(path, is_model_file)) if path.is_file() else path
        base = find_base(folder, read_json(folder / "adapter_config.json")) if kind == "peft" else folder
        raw, _ = clean_config(read_json(base / "config.json"))
        has_own = any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))
        tokenizer = load_tokenizer(folder if has_own else base, raw["model_type"])
        card = first_card(card, path, folder)
        return tokenizer, carded(card, read_config(raw), "causal_lm", tokenizer, folder)
