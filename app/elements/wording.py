"""Messages of the core in the words of the pages: controls by their names instead of flags of the command line."""

from __future__ import annotations

import re

CONTROLS = {
    "model": "Model",
    "run": "Name of the run",
    "labels": "Table of labels",
    "label-column": "Label column",
    "id-column": "Id column",
    "text-column": "Text column",
    "modality": "Modality",
    "model-card": "Model card",
    "scores": "Scores",
    "map": "Map",
    "validation": "Clean validation data",
    "checkpoints": "Checkpoints",
    "parameters": "Parameters",
    "seed": "Seed",
    "sketch-dim": "Numbers kept of each gradient",
    "device": "Device",
    "precision": "Precision",
    "batch-size": "Batch size",
    "max-samples": "At most this many samples",
    "force": "Score even where the classes seem to be in another order",
    "depth": "Depth",
    "trim-fraction": "Flagged",
    "score": "Score",
    "seeds": "Trainings of each arm",
    "trained-on": "Trained on, of language-model rows",
}
"""The control of each option of the command line that has one on a page."""
_NO_CONTROL = {
    "--overwrite to remove it": "delete it",
    "--overwrite": "delete that run",
    "--model-factory": "a model factory, on the command line",
    "--data-root": "a data folder",
    "--allow-unjailed": "its option allow-unjailed",
    "--accounts": "accounts",
}
_NEW_RUN = re.compile(r"Make one with: oga score .*?(?=\.$|\. |$)")
_FLAG = re.compile(r"--([a-z][a-z-]*)(?: [A-Z]+(?:,[A-Z]+)*\b)?")


def page_words(text: str) -> str:
    """Return a message as a page says it; text without flags stays as it is."""
    text = _NEW_RUN.sub("Score a data set on the Run page", text)
    for flag, words in _NO_CONTROL.items():
        text = text.replace(flag, words)
    return _FLAG.sub(lambda match: f"“{CONTROLS[match[1]]}”" if match[1] in CONTROLS else match[0], text)
