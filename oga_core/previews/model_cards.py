"""The worker's part of knowing a model before it is loaded: its card, read without its weights and without its code."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

from oga_core.models.archive import unpacked
from oga_core.models.card import ModelCard, first_card
from oga_core.models.folders import is_model_file, read_json
from oga_core.models.formats import ZIPPED, model_format
from oga_core.models.huggingface.config import clean_config, modality_of
from oga_core.models.huggingface.derived import derived_card, text_loss


def card_of(path: Path, kind: str) -> ModelCard | None:
    """Return the card that loading the model would find; None where there is none, or where only weights tell.

    kind: what `model_format` says. Raises `OgaError` for a file that is damaged or cannot be used.
    """
    if kind == "pt2":
        return first_card(_packed(path), path)
    if kind == "pt2_folder":
        (inside,) = path.glob("*.pt2")
        return first_card(path, _packed(inside), inside)
    if kind == "zip" or (path.is_file() and kind in ("huggingface", "peft")):
        return _zipped(path, kind)
    if kind == "huggingface":
        return first_card(path) or _configured(path)
    if kind == "skops":
        from oga_core.models.sklearn import load_skops

        return load_skops(path, first_card(path)).card
    return first_card(path)


def output_of(path: Path, kind: str) -> str | None:
    """Return a sentence on which of several outputs loading a packaged model would take; None for any other."""
    if kind not in ("pt2", "pt2_folder"):
        return None
    from oga_core.models.pt2.archive import Archive
    from oga_core.models.pt2.reader import output_inside

    with Archive(path if kind == "pt2" else next(path.glob("*.pt2"))) as archive:
        return output_inside(archive)


def _packed(path: Path) -> ModelCard | None:
    from oga_core.models.pt2.archive import Archive
    from oga_core.models.pt2.reader import card_inside

    with Archive(path) as archive:
        return card_inside(archive)


def _zipped(path: Path, kind: str) -> ModelCard | None:
    """Of a zipped folder the configuration is unpacked; of a zipped file the file with what lies beside it."""

    def is_wanted(name: PurePosixPath) -> bool:
        if kind == "zip":
            return len(name.parts) == 1 and name.suffix in (*ZIPPED, ".json")
        return is_model_file(name) and name.suffix == ".json"

    with unpacked(path, is_wanted) as folder:
        beside = first_card(path, folder)
        if beside is not None or kind != "zip":
            return beside or card_of(folder, kind)
        inside = next((file for file in folder.iterdir() if file.suffix in ZIPPED), None)
        return card_of(inside, model_format(inside)) if inside else None


def _configured(folder: Path) -> ModelCard | None:
    """The classes of a classifier by its config.json; how its inputs are prepared only where it reads images."""
    raw, _ = clean_config(read_json(folder / "config.json"))
    modality = modality_of(raw, folder.name)
    if modality == "causal_lm":
        return ModelCard(modality, ())
    names: Any = raw.get("id2label")
    names = names if isinstance(names, dict) else {}
    config = SimpleNamespace(**{**raw, "id2label": names, "num_labels": len(names)})
    if modality == "image":
        return derived_card(config, modality, None, folder)
    classes = tuple(str(names[key]) for key in sorted(names, key=int))
    return ModelCard(modality, classes, loss=text_loss(config))
