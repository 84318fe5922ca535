"""What a person can choose about a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ScoreOptions:
    """What a person can choose about a run; every field has a flag of the same name on the command line.

    model_factory: module:function of the owner's code that builds the network for plain weights; it runs in the worker.
    parameters: whose gradient is sketched: head, all, last:N, lora or pattern:REGEX; auto takes the head for
        classifiers and the trainable parameters for language models.
    trained_on: of rows for a language model: assistant, last, completion or all; None takes what the model card says,
        else completions, every turn of the assistant, and all of a plain text.
    reference: of preference pairs: the model that they are measured against; None switches the adapter off.
    sketch_dim: numbers kept of each gradient; None stands for 512, and for 4,096 of language models.
    """

    labels: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    text_column: str | None = None
    modality: str | None = None
    model_card: str | None = None
    model_factory: str | None = None
    scores: tuple[str, ...] = ()
    map: str = "umap"
    validation: str | None = None
    checkpoints: tuple[str, ...] = ()
    parameters: str = "auto"
    sketch_dim: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    batch_size: int | None = None
    max_samples: int | None = None
    force: bool = False
    trained_on: str | None = None
    reference: str | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ScoreOptions:
        """Return what run.json keeps of the options; what another version wrote there besides is passed over."""
        known = {field.name for field in fields(cls)} & content.keys()
        values: dict[str, Any] = {name: content[name] for name in known}
        return cls(**values | {name: tuple(content[name]) for name in known & _LISTS})

    def with_files(self, data: Callable[[str], Path], model: Callable[[str], Path]) -> ScoreOptions:
        """Return the same with the paths that these give for the files that are named, of data and of models."""
        named = {name: getattr(self, name) for name in ("labels", "model_card", "validation", "reference")}
        paths: dict[str, Any] = {
            name: str((model if name == "reference" else data)(path))
            for name, path in named.items()
            if path is not None
        }
        return replace(self, checkpoints=tuple(str(data(path)) for path in self.checkpoints), **paths)

    def after(self, earlier: Mapping[str, Any]) -> ScoreOptions:
        """Return the same with the choices of an earlier run where none are made: columns, scores, map and the like.

        Files are those of the earlier run's own data and model, so they are not taken over.
        """
        before = ScoreOptions.from_json(earlier)
        default = ScoreOptions()
        kept = {
            field.name: getattr(before, field.name)
            for field in fields(self)
            if field.name not in _FILES and getattr(self, field.name) == getattr(default, field.name)
        }
        return replace(self, **kept)


_LISTS = {"scores", "checkpoints"}
_FILES = ("labels", "model_card", "model_factory", "checkpoints", "reference", "force")
