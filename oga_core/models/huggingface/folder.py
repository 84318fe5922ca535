"""Hugging Face folders: config.json, safetensors weights and a tokenizer; no code and no network."""

from __future__ import annotations

from pathlib import Path

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.folders import read_json
from oga_core.models.huggingface.config import clean_config
from oga_core.models.huggingface.derived import carded, prepared
from oga_core.models.huggingface.network import build
from oga_core.models.huggingface.weights import read_folder_weights, storage_notes
from oga_core.models.loaded import LoadedModel
from oga_core.models.tokenizer import load_tokenizer


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
    card = carded(card, module.config, modality, tokenizer, folder)
    notes += storage_notes(weights)
    return LoadedModel(prepared(module, tokenizer), card, "huggingface", tokenizer, tuple(notes))
