"""Plain weights for a network of the built-in list, or for one that the machine's owner builds."""

from __future__ import annotations

from pathlib import Path

from oga_core.errors import OgaError
from oga_core.models.architectures import build
from oga_core.models.card import ModelCard
from oga_core.models.factory import ModelFactory
from oga_core.models.loaded import LoadedModel
from oga_core.models.packaging.logits import logits_of
from oga_core.models.safetensors import is_safetensors
from oga_core.models.weights import assign, read_weights

_CARD = '{"modality": "image", "classes": ["…", "…"], "input": {"image_size": [32, 32], "channels": 3}}'


def load_plain_weights(path: Path, card: ModelCard | None, factory: ModelFactory | None = None) -> LoadedModel:
    """Load weights into the network that the factory builds, that the card names, or that their shapes tell."""
    weights = read_weights(path)  # first: a file that can't be read needs no card
    if card is None:
        raise OgaError(
            f"{path.name} holds weights only. Write a model card {path.stem}.json beside it, or fill it in on the "
            f"page: {_CARD}"
        )
    kind = "safetensors" if is_safetensors(path) else "state_dict"
    if factory:
        module = factory.build()
        assign(module, weights, path.name)
        if card.output is not None:
            module.register_forward_hook(lambda module, inputs, answer: logits_of(answer, card.output))
        return LoadedModel(module.float().requires_grad_(True).eval(), card, kind)
    name, module = build({key: tuple(tensor.shape) for key, tensor in weights.items()}, card.architecture)
    module.load_state_dict(weights, strict=True, assign=True)
    module.requires_grad_(True)
    notes = () if card.architecture else (f"The weights fit the built-in architecture {name!r}.",)
    return LoadedModel(module.eval(), card, kind, notes=notes)
