"""What the worker is asked to do for a run, as one record that travels as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.files import full_path
from oga_core.gradients.batches import Shard
from oga_core.gradients.options import LANGUAGE_SKETCH_DIM, SKETCH_DIM, WHOLE_NUMBERS, PassOptions
from oga_core.models import files_of
from oga_core.models.card import ModelCard
from oga_core.models.factory import ModelFactory
from oga_core.pipeline.options import ScoreOptions
from oga_core.samples import SampleSet, Target
from oga_core.scores import PROMPT_FREE, SCORES

OUTPUTS_SUFFIXES = (".npz", ".parquet")
"""Of a bundle of outputs, which stands for a model."""
_VIEWED_SCORES = {"oga", "view_margin"}


@dataclass(frozen=True)
class PassRequest:
    """The gradient pass of one run.

    data, model, reference, validation, checkpoints: full paths; model is None for a bundle of outputs. data_options:
    arguments of `read_samples`. model_card: its JSON. model_factory: fields of `ModelFactory`. folder: the run's.
    pass_options: fields of `PassOptions`, with parameters "auto" still open. needs: of each score that was asked for.
    shard: as 3/16, None for all samples. given_up: what other shards found not to hold for the model. threads: of the
    processor, None for as many as there are.
    """

    data: str
    model: str | None
    folder: str
    data_options: Mapping[str, Any] = field(default_factory=dict)
    model_card: str | None = None
    model_factory: Mapping[str, Any] | None = None
    pass_options: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False
    needs: Mapping[str, list[str]] = field(default_factory=dict)
    validation: str | None = None
    checkpoints: tuple[str, ...] = ()
    trained_on: str | None = None
    shard: str | None = None
    given_up: tuple[str, ...] = ()
    threads: int | None = None
    reference: str | None = None

    @classmethod
    def of(
        cls,
        data: Path,
        model: Path | None,
        folder: Path,
        options: ScoreOptions,
        *,
        shard: Shard | None = None,
        given_up: Iterable[str] = (),
        threads: int | None = None,
    ) -> PassRequest:
        """Return what to ask for; raises `OgaError` for a model card that cannot be read."""
        factory = ModelFactory.named(options.model_factory) if options.model_factory else None
        return cls(
            data=full_path(data),
            model=full_path(model) if model else None,
            folder=str(folder.resolve()),
            data_options=data_options(options),
            model_card=_read_card(options.model_card),
            model_factory=asdict(factory) if factory else None,
            pass_options=pass_options(options),
            force=options.force,
            needs={name: list(SCORES[name].needs) for name in options.scores},
            validation=full_path(options.validation) if options.validation else None,
            checkpoints=tuple(full_path(path) for path in options.checkpoints),
            trained_on=options.trained_on,
            shard=str(shard) if shard else None,
            given_up=tuple(sorted(given_up)),
            threads=threads,
            reference=full_path(options.reference) if options.reference else None,
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PassRequest:
        """Return the record that `asdict` made, after its way through JSON."""
        return cls(**{**content, **{name: tuple(content[name]) for name in ("checkpoints", "given_up")}})

    def model_path(self, samples: SampleSet) -> Path:
        """The model, or a bundle of outputs that stands for it. Raises `OgaError` where neither is given."""
        if not self.model and samples.modality != "outputs":
            raise OgaError("Give the trained model with --model. Only a bundle of outputs is scored without one.")
        return Path(self.model or samples.source.path)

    def readable(self) -> list[Path]:
        """The files and folders that the worker must be able to read."""
        paths = [self.data, self.data_options.get("labels"), self.validation, *self.checkpoints]
        files = [Path(path) for path in paths if path is not None]
        for path in (self.model, self.reference):
            files += files_of(Path(path)) if path else []
        return files + ([Path(self.model_factory["folder"])] if self.model_factory else [])


def data_options(options: ScoreOptions) -> dict[str, Any]:
    """Return the arguments with which `read_samples` reads the data of a run."""
    names = ("label_column", "id_column", "text_column", "modality", "max_samples")
    return {
        "labels": full_path(options.labels) if options.labels else None,
        **{name: getattr(options, name) for name in names},
    }


def pass_options(options: ScoreOptions) -> dict[str, Any]:
    """Return the fields of `PassOptions`; parameters may still be "auto" and sketch_dim None."""
    return {
        "parameters": options.parameters,
        "sketch_dim": options.sketch_dim,
        "seed": options.seed,
        "device": options.device,
        "precision": options.precision,
        "batch_size": options.batch_size,
        "views": not options.scores or not _VIEWED_SCORES.isdisjoint(options.scores),
        "without_prompt": any(set(PROMPT_FREE) <= set(SCORES[name].needs) for name in options.scores),
        "exact_l1": "l1_norm_all" in options.scores,
    }


def settled(wanted: Mapping[str, Any], *, target: Target | None, n_samples: int) -> PassOptions:
    """Return what `pass_options` left open, as it suits what the model was trained to predict; None: a language model.

    The head's gradient is enough for a model with a head; a language model has none of its own, and is asked which
    rows made it say something; the head of one that tags words is met once a word. That of one that gives pixels a
    class is met once a pixel, and is taken as other parameters are, with its norms.
    """
    options = dict(wanted)
    if options["parameters"] == "auto":
        options["parameters"] = "head" if target not in (None, "tags") else "all"
    options["sketch_dim"] = options["sketch_dim"] or (SKETCH_DIM if target else LANGUAGE_SKETCH_DIM)
    options["exact_l1"] = options["exact_l1"] and (options["parameters"] != "head" or target == "mask")
    options["views"] = options["views"] and target == "class"  # a mirrored image may well be another number
    whole = 0 if target else WHOLE_NUMBERS // max(n_samples, 1)
    return PassOptions(**options, whole_parameters=whole)


def _read_card(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OgaError(f"The model card {path!r} cannot be read: {error}.") from None
    ModelCard.from_json(text, Path(path).name)
    return text
