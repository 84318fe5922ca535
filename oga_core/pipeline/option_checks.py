"""What is refused of a person's choices at once, before anything is read."""

from __future__ import annotations

import os
from pathlib import Path

from oga_core.errors import OgaError, unknown
from oga_core.gradients.options import require_known as require_known_precision
from oga_core.map.projection import METHODS
from oga_core.models.card import TRAINED_ON
from oga_core.pipeline.options import ScoreOptions
from oga_core.scores import CHECKPOINTS, GROUPS, SCORES, VALIDATION, VALIDATION_CHECKPOINTS, require_known

_CALLED = {
    "data": "data set",
    "model": "model",
    "labels": "table of labels",
    "reference": "reference model",
    "validation": "validation set",
}
_FLAGS = {
    VALIDATION: "clean samples: give them with --validation DATA",
    CHECKPOINTS: "weights saved during training: give them with --checkpoints FILE,FILE",
    VALIDATION_CHECKPOINTS: "clean samples and weights saved during training: give --validation and --checkpoints",
    GROUPS: "the group of every validation sample, which compute_scores takes in Python",
}
_ALL_NORMS = {"l1_norm_all", "l2_norm_all"}


def check_options(data: Path, model: Path | None, options: ScoreOptions) -> None:
    """Refuse what cannot be right before anything is read. Raises `OgaError`."""
    for name, path in (
        ("data", data),
        ("model", model),
        ("labels", options.labels),
        ("reference", options.reference),
        ("validation", options.validation),
    ):
        if path is not None and not Path(path).exists():
            raise OgaError(f"The {_CALLED[name]} {str(path)!r} does not exist. Give a file or folder on this machine.")
        if path is not None and not os.access(path, os.R_OK):
            raise OgaError(f"The {_CALLED[name]} {str(path)!r} cannot be read. Change its permissions.")
    for checkpoint in options.checkpoints:
        if not Path(checkpoint).is_file():
            raise OgaError(f"The checkpoint {checkpoint!r} does not exist. Give files of weights, separated by commas.")
        if not os.access(checkpoint, os.R_OK):
            raise OgaError(f"The checkpoint {checkpoint!r} cannot be read. Change its permissions.")
    if options.map not in METHODS:
        raise unknown("map", options.map, METHODS)
    require_known_precision(options.precision)
    if options.seed < 0:
        raise OgaError(f"The seed must be 0 or more, got {options.seed}.")
    for name in ("batch_size", "max_samples", "sketch_dim"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise OgaError(f"{name.replace('_', ' ').capitalize()} must be 1 or more, got {value}.")
    if options.trained_on is not None and options.trained_on not in TRAINED_ON:
        raise unknown("what is trained on:", options.trained_on, TRAINED_ON)
    require_known(options.scores)
    _check_needs(options)


def _check_needs(options: ScoreOptions) -> None:
    """Refuse scores that lack what the person has to give; the pass before them may take hours."""
    given = {
        VALIDATION: bool(options.validation),
        CHECKPOINTS: bool(options.checkpoints),
        VALIDATION_CHECKPOINTS: bool(options.validation and options.checkpoints),
        GROUPS: False,
    }
    for name in options.scores:
        needs = SCORES[name].needs
        for need in (VALIDATION_CHECKPOINTS, VALIDATION, CHECKPOINTS, GROUPS):
            if need in needs and not given[need]:
                raise OgaError(f"The score {name!r} needs {_FLAGS[need]}.")
        if options.parameters == "head" and _ALL_NORMS & set(needs):
            raise OgaError(f"The score {name!r} needs the gradient of more than the head. Give --parameters all.")
