"""Loading uploaded models without running any code of theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard, first_card
from oga_core.models.folders import TOKENIZER_FILES, files_of, is_model_file
from oga_core.models.formats import ZIPPED, model_format
from oga_core.models.refusals import REFUSALS, refusal
from oga_core.samples import OWN

if TYPE_CHECKING:  # torch takes seconds to import, and naming a format does not need it
    from torch import nn

    from oga_core.models.factory import ModelFactory
    from oga_core.models.loaded import LoadedModel
    from oga_core.models.packaging.own_loss import OwnLoss

__all__ = ["ModelCard", "files_of", "load_model", "load_weights", "model_format"]


def load_model(
    path: Path | str,
    card: ModelCard | None = None,
    *,
    base: Path | str | None = None,
    factory: ModelFactory | None = None,
) -> LoadedModel:
    """Load a model by what its file or folder holds, whatever it is called.

    card: what the person says about the model; it wins over a card in or beside the model. base: the folder of the
    model that a PEFT adapter belongs to. factory: builds the network for plain weights. Raises `OgaError` for what is
    not loadable without running its code.
    """
    path = Path(path)
    kind = model_format(path)
    if kind in REFUSALS:
        raise refusal(kind, path)
    if factory and kind not in ("safetensors", "state_dict"):
        raise OgaError(f"A model factory is for plain weights, and {path.name} is not that. Leave out --model-factory.")
    if kind == "pt2":
        return _load_pt2(path, card)
    if kind == "pt2_folder":
        (inside,) = path.glob("*.pt2")
        return _load_pt2(inside, card, folder=path)
    card = first_card(card, path)
    if kind == "zip" or (path.is_file() and kind in ("huggingface", "peft")):
        return _load_zipped(path, kind, card, base)
    if kind == "huggingface":
        from oga_core.models.huggingface.folder import load_huggingface

        return load_huggingface(path, card)
    if kind == "peft":
        from oga_core.models.huggingface.peft import load_peft

        return load_peft(path, card, Path(base) if base else None)
    if kind == "skops":
        from oga_core.models.sklearn import load_skops

        return load_skops(path, card)
    from oga_core.models.plain import load_plain_weights

    return load_plain_weights(path, card, factory)


def load_weights(module: nn.Module, path: Path | str) -> None:
    """Replace the weights of a loaded model by those of a checkpoint of the same network, as float32.

    Raises `OgaError` for what is no file of weights, and when names or shapes differ.
    """
    from oga_core.models.weights import assign, read_weights

    path = Path(path)
    assign(module, read_weights(path), path.name)


def _load_zipped(path: Path, kind: str, card: ModelCard | None, base: Path | str | None) -> LoadedModel:
    from oga_core.models.archive import unpacked  # what reads archives is imported where they are read

    def is_wanted(name: PurePosixPath) -> bool:
        return len(name.parts) == 1 and (name.suffix in (*ZIPPED, ".json") or name.name in TOKENIZER_FILES)

    with unpacked(path, is_wanted if kind == "zip" else is_model_file) as folder:
        if kind != "zip":
            return load_model(folder, card, base=base)
        inside = [file for file in folder.iterdir() if file.suffix in ZIPPED]
        if len(inside) != 1 or (kind := model_format(inside[0])) == "zip":
            raise OgaError(f"{path.name} must hold one model file, not in folders and not zipped again.")
        return _load_pt2(inside[0], card, folder=folder) if kind == "pt2" else load_model(inside[0], card)


def _load_pt2(path: Path, card: ModelCard | None, folder: Path | None = None) -> LoadedModel:
    """folder: where its card and tokenizer may lie, if not inside the file."""
    from oga_core.models.pt2.archive import Archive
    from oga_core.models.pt2.reader import card_inside, read_pt2

    with Archive(path) as archive:
        inside = card_inside(archive)
    card = first_card(card, folder, inside, path)
    module, _ = read_pt2(path, None if card is None else card.output)
    from oga_core.models.loaded import LoadedModel
    from oga_core.models.packaging.gradients import check_record

    if card is None:
        raise OgaError(
            f"{path.name} has no model card. Write {path.stem}.json beside it, or fill the card in on the page: "
            '{"modality": "image", "classes": ["…", "…"], "input": {"image_size": [32, 32]}}'
        )
    tokenizer = None
    if card.modality in ("text", "causal_lm"):
        from oga_core.models.tokenizer import packed_tokenizer

        tokenizer = packed_tokenizer(path, folder)
        card = _of_fixed_length(card, module.input_shapes.get("input_ids", ()))
    is_recorded = card.output in (None, None if inside is None else inside.output)  # whose gradients were kept
    notes = (*module.notes, *(check_record(path, module) if is_recorded else ()))
    return LoadedModel(module.eval(), card, "pt2", tokenizer, notes, _own_loss(path, card))


def _own_loss(path: Path, card: ModelCard) -> OwnLoss | None:
    """The function that the card calls own; raises `OgaError` where the file holds none."""
    if card.loss["name"] != OWN:
        return None
    from oga_core.models.packaging.loss_record import check_loss
    from oga_core.models.packaging.own_loss import OwnLoss
    from oga_core.models.pt2.reader import read_loss

    graph = read_loss(path)
    if graph is None:
        raise OgaError(
            f"The model card names a loss of one's own, and {path.name} holds none. Package the model with it: "
            "package_model(…, loss=my_loss)."
        )
    loss = OwnLoss(*graph)
    check_loss(path, loss)
    return loss


def _of_fixed_length(card: ModelCard, shape: tuple[int | None, ...]) -> ModelCard:
    """The card with the one number of tokens that a graph takes, where it was exported for one alone."""
    if len(shape) != 2 or shape[1] is None:
        return card
    return replace(card, input={**card.input, "max_length": shape[1], "fixed_length": True})
