"""What a Hugging Face folder says about its model besides the weights: classes, lengths, image sizes, padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oga_core.errors import OgaError
from oga_core.models.card import CROSS_ENTROPY, ModelCard
from oga_core.models.folders import read_json
from oga_core.models.huggingface.config import tags_words
from oga_core.models.huggingface.lengths import max_length
from oga_core.samples import Modality

if TYPE_CHECKING:
    from torch import nn


def prepared(module: Any, tokenizer: Any) -> nn.Module:
    """Put the network in eval mode; classifiers that read the last token need to know the padding."""
    if tokenizer is not None and getattr(module.config, "pad_token_id", None) is None:
        module.config.pad_token_id = tokenizer.pad_token_id
    evaluated: nn.Module = module.eval()
    return evaluated


def carded(card: ModelCard | None, config: Any, modality: Modality, tokenizer: Any, folder: Path) -> ModelCard:
    """Return the card that was given, else the derived one; the configuration says whether there is an encoder."""
    card = card or derived_card(config, modality, tokenizer, folder)
    if modality != "causal_lm" or not getattr(config, "is_encoder_decoder", False):
        return card
    return replace(card, input={**card.input, "encoder_decoder": True})


def derived_card(config: Any, modality: Modality, tokenizer: Any, folder: Path) -> ModelCard:
    """Derive the card: classes from id2label, the longest input from tokenizer and configuration."""
    if modality == "causal_lm":
        return ModelCard(modality, (), {"max_length": max_length(config, tokenizer, modality)})
    labels = {int(index): str(name) for index, name in config.id2label.items()}
    classes = tuple(labels.get(index, f"LABEL_{index}") for index in range(config.num_labels))
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise OgaError(f"id2label in config.json must name two or more different classes, got {', '.join(classes)}.")
    if modality == "text":
        longest = {"max_length": max_length(config, tokenizer, modality)}
        return ModelCard(modality, classes, longest, loss=text_loss(config))
    return ModelCard(modality, classes, _image_input(config, folder))


def text_loss(config: Any) -> Mapping[str, Any]:
    """The loss of a text model, by the head that its configuration names."""
    return {"name": "token_cross_entropy"} if tags_words(config) else CROSS_ENTROPY


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
