"""The model card: what the core must know about a model that its weights do not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError, unknown
from oga_core.readers.archives.names import leaves_folder
from oga_core.readers.targets import with_targets
from oga_core.samples import LOSSES, MASK_IGNORED, MASK_LARGEST, MODALITIES, OWN, TARGETS, Modality, SampleSet, Target

TRAINED_ON = ("assistant", "last", "completion", "all")
"""Of a row for a language model: all turns of the assistant, its last turn, what follows the prompt, or every token."""

_OWN_LOSS = ("causal_lm", "preference")
_OWN_TARGETS = tuple(target for target in TARGETS if target not in ("tags", "mask"))  # judged part by part
CROSS_ENTROPY: Mapping[str, Any] = {"name": "cross_entropy"}


@dataclass(frozen=True)
class ModelCard:
    """Modality, class names in the order of the logits, and how inputs are prepared.

    `input` for images: image_size [height, width], channels, mean, std (of pixels / 255); for text: max_length (and
    fixed_length where all are padded to it), and for language models trained_on, one of `TRAINED_ON`, and
    encoder_decoder, true for a model that reads the prompt with an encoder; for tabular data: features, mean, std, and
    optionally categories {column: [values]}; features of a model with several inputs are {input: [columns]}. A model of
    images with further inputs has these in columns, with its own features, mean, std and categories, and in image the
    name of the input that takes the image.
    `loss`, of a model that predicts classes, several labels or numbers: the name of one of `LOSSES` and its settings:
    of cross_entropy label_smoothing and class_weights, of the losses of numbers mean and std, where the model gives
    (number - mean) / std, of huber its delta (1), and of pixel_cross_entropy ignore, the number in a mask that stands
    for no class (255). A name alone stands for {"name": …}. own is a function that was
    exported with the model; target says what it compares with, one of `TARGETS`, and of a vector size how long it is.
    `output`, of a model with several: the key of the one that the loss takes, or its position counted from 0.
    `architecture`, for plain weights: {"name": …}, one of `architectures.ARCHITECTURES`; None: found by the shapes.
    """

    modality: Modality
    classes: tuple[str, ...]
    input: Mapping[str, Any] = field(default_factory=dict)
    architecture: Mapping[str, Any] | None = None
    loss: Mapping[str, Any] = field(default_factory=lambda: CROSS_ENTROPY)
    output: str | int | None = None

    @property
    def target(self) -> Target:
        """What the loss compares the outputs with."""
        target: Target = self.loss.get("target", LOSSES[self.loss["name"]][0])
        return target

    @classmethod
    def from_json(cls, text: str | bytes, origin: str) -> ModelCard:
        """Parse a card; `origin` names the file in error messages."""
        try:
            card = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OgaError(f"The model card {origin} is not valid JSON: {error}") from None
        if not isinstance(card, dict):
            raise OgaError(f"The model card {origin} must be a JSON object with modality, classes and input.")
        modality = card.get("modality")
        if modality not in MODALITIES:
            raise unknown(f"modality in the model card {origin}:", modality, MODALITIES)
        classes = card.get("classes", [])
        inputs = card.get("input", {})
        if not isinstance(classes, list) or not all(isinstance(name, (str, int)) for name in classes):
            raise OgaError(f"'classes' in the model card {origin} must be a list of names, in the order of the logits.")
        if not isinstance(inputs, dict):
            raise OgaError(f"'input' in the model card {origin} must be an object, got {inputs!r}.")
        names = tuple(map(str, classes))
        if len(set(names)) != len(names):
            raise OgaError(f"'classes' in the model card {origin} names a class twice.")
        if unsafe := next(filter(leaves_folder, names), None):
            raise OgaError(
                f"'classes' in the model card {origin} names {unsafe[:80]!a}, which cannot be a class: an export makes "
                "folders of classes, and this one leads elsewhere. Rename it."
            )
        architecture = card.get("architecture", inputs.get("architecture"))
        if isinstance(architecture, str):
            architecture = {"name": architecture}
        if architecture is not None and not isinstance(architecture, dict):
            raise OgaError(
                f"'architecture' in the model card {origin} must be an object with a name, got {architecture!r}."
            )
        return cls(modality, names, inputs, architecture, _loss(card, origin), _output(card, origin))

    def fitted(self, samples: SampleSet) -> tuple[SampleSet, ModelCard]:
        """Return the samples with labels read as the model's loss does, and the card with classes.

        Raises `OgaError` where the data are of another modality or have labels that the model does not know.
        """
        # Pairs are read by the same models as other rows.
        card = replace(self, modality="preference") if _are_pairs(samples, self) else self
        if samples.modality != card.modality:
            raise OgaError(
                f"The model card says modality {card.modality!r} but the data reads as {samples.modality!r}. "
                "Correct the modality in the model card, or choose the columns of the data."
            )
        if "mask" in (samples.target, card.target):
            samples = with_targets(samples, card.target, card.classes, card.loss)
            return samples, replace(card, classes=samples.class_names)
        if samples.target != "class":
            return samples, card
        if card.target == "class" and not card.classes:
            card = replace(card, classes=samples.class_names)
        return with_targets(samples, card.target, card.classes), card

    def with_trained_on(self, trained_on: str | None) -> ModelCard:
        """Return the card with what a person chose to be trained on; None leaves what it says."""
        return self if trained_on is None else replace(self, input={**self.input, "trained_on": trained_on})

    def to_json(self) -> str:
        """Write the card as it is read."""
        card: dict[str, Any] = {"modality": self.modality, "classes": list(self.classes), "input": dict(self.input)}
        if self.architecture is not None:
            card["architecture"] = dict(self.architecture)
        if self.loss != CROSS_ENTROPY:
            card["loss"] = dict(self.loss)
        if self.output is not None:
            card["output"] = self.output
        return json.dumps(card, indent=1)


def _are_pairs(samples: SampleSet, card: ModelCard) -> bool:
    return (samples.modality, card.modality) == ("preference", "causal_lm")


def _loss(card: Mapping[str, Any], origin: str) -> Mapping[str, Any]:
    """The loss that a card names; raises `OgaError` for one that is not known or has other settings."""
    loss = card.get("loss", CROSS_ENTROPY)
    loss = {"name": loss} if isinstance(loss, str) else loss
    if not isinstance(loss, Mapping) or not isinstance(loss.get("name"), str):
        raise OgaError(f"'loss' in the model card {origin} must be a name, or an object with a name, got {loss!r}.")
    if "loss" in card and card["modality"] in _OWN_LOSS:
        raise OgaError(
            f"The model card {origin} names a loss, but a model of modality {card['modality']!r} has one of its own. "
            "Leave 'loss' out."
        )
    if loss["name"] not in LOSSES:
        raise unknown(f"loss in the model card {origin}:", loss["name"], LOSSES)
    settings = LOSSES[loss["name"]][1]
    for setting in loss.keys() - {"name"}:
        if setting not in settings:
            raise unknown(f"setting of the loss {loss['name']} in the model card {origin}:", setting, settings)
    ignored = loss.get("ignore", MASK_IGNORED)
    if isinstance(ignored, bool) or not isinstance(ignored, int) or not 0 <= ignored <= MASK_LARGEST:
        raise OgaError(f"'ignore' of the loss in the model card {origin} must be a number from 0 to {MASK_LARGEST:,}.")
    if loss["name"] == OWN and loss.get("target") not in _OWN_TARGETS:
        raise unknown(f"target of the loss in the model card {origin}:", loss.get("target"), _OWN_TARGETS)
    return loss


def _output(card: Mapping[str, Any], origin: str) -> str | int | None:
    """The output that a card names; raises `OgaError` for what is neither a key nor a position."""
    output = card.get("output")
    if output is None or isinstance(output, str) or (type(output) is int and output >= 0):
        return output
    raise OgaError(
        f"'output' in the model card {origin} must be an output's name, or its position counted from 0, got {output!r}."
    )


def first_card(*places: ModelCard | Path | None) -> ModelCard | None:
    """Return the first card there is, in the order of precedence that the caller gives; None where there is none.

    places: a card, or the path of a model: `<name>.json` beside a model file, `oga.json` in a model folder.
    Raises `OgaError` for a file that is no card.
    """
    for place in places:
        card = _beside(place) if isinstance(place, Path) else place
        if card is not None:
            return card
    return None


def _beside(model: Path) -> ModelCard | None:
    path = model / "oga.json" if model.is_dir() else model.with_suffix(".json")
    return ModelCard.from_json(path.read_bytes(), path.name) if path.is_file() else None
