"""run.json as one typed record: what was scored, how, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from oga_core.errors import OgaError
from oga_core.runs.trained_input import TrainedInput
from oga_core.samples import MASK_CHOICES, MODALITIES, TARGETS
from oga_core.threshold.trim_trial import TrimTrial

SCHEMA = 2
"""The version of the record. 1 had no number; its noise rate was called `estimate`. A field more needs no new one."""

LOCK = ".lock"
"""The system's lock on this file goes with its process; the file stays, so that all who come lock the same one."""


@dataclass(frozen=True)
class NoiseRate:
    """The estimated share of wrong labels, 0 to 1, with the bounds of its interval."""

    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class DataInfo:
    """The scored data: where it lies, how it was read (arguments of `read_samples`), its fingerprint and format."""

    path: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    format: str = ""


@dataclass(frozen=True)
class ModelInfo:
    """The model's file or folder; None for a bundle of outputs and for a model that was scored live."""

    path: str | None = None


@dataclass(frozen=True)
class RunInfo:
    """Everything that run.json says; what an older or unfinished run does not say has its default.

    status: running, done, failed or cancelled. process: id of the process that scores. options: fields of
        `ScoreOptions`. model_format: outputs, live, or one of the loaders' formats.
    trained_input: for a language model, else None. n_samples: rows of the table. classes: in the order of the logits.
        target: what a sample is labelled with, where it has labels. label_names: where it may have several, in the
        order of the outputs. loss: as the model card names it.
        problems: samples that could not be read, each with sample_id, row and reason. checks: what the trial found.
        jail: which layers of the worker's jail held, and in `missing` a sentence for each that did not.
    gradient_coverage: share of the chosen parameters, 0 to 1. gradient_check_error: largest relative error against
        the one-by-one loop, None where it is not known. gradient_precision_error: that of the chosen precision against
        the highest. device: kind, name, precision and peak_mb of what the pass ran on.
    seconds: per stage; each_score holds them per score.
    suggested_trim_fraction: share of the samples, None where none was estimated. trim_trial: what it gains over a
        random trim, None where that was not tried. map: umap, pca or none.
    pass_fingerprint: of what the gradients depend on: data, model, options.
    previous: folder of the earlier run whose decisions are carried over; carried: what became of them.
    """

    schema: int = SCHEMA
    status: str = "unknown"
    error: str | None = None
    started: str = ""
    process: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    python: str = ""
    data: DataInfo = field(default_factory=DataInfo)
    model: ModelInfo = field(default_factory=ModelInfo)
    options: dict[str, Any] = field(default_factory=dict)
    model_format: str = ""
    trained_input: TrainedInput | None = None
    n_samples: int | None = None
    classes: tuple[str, ...] = ()
    modality: str = ""
    target: str = "class"
    label_names: tuple[str, ...] = ()
    loss: dict[str, Any] = field(default_factory=dict)
    problems: tuple[dict[str, Any], ...] = ()
    checks: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    jail: dict[str, Any] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    gradient_coverage: float | None = None
    gradient_check_error: float | None = None
    gradient_precision_error: float | None = None
    model_accuracy_on_given_labels: float | None = None
    default_score: str | None = None
    noise_rate: NoiseRate | None = None
    suggested_trim_fraction: float | None = None
    trim_trial: TrimTrial | None = None
    map: str = "none"
    previous: str = ""
    carried: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, Any] = field(default_factory=dict)
    peak_rss_mb: float | None = None
    pass_fingerprint: str = ""
    fingerprint: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """What a sample may be relabelled to where that is one of a few: a class, or what stands in for a mask."""
        return MASK_CHOICES if self.target == "mask" else self.classes

    @classmethod
    def read(cls, path: Path) -> RunInfo:
        """Return the record in the file at `path`, of this or an older version; all defaults where there is no file.

        Raises `OgaError` for a file that is damaged, of another kind or of a newer version.
        """
        return cls.from_json(read_json(path), str(path))

    @classmethod
    def from_json(cls, content: Mapping[str, Any], name: str) -> RunInfo:
        """Return the record in parsed JSON; `name` is what errors call it. Unknown fields are passed over."""
        content = _upgraded(content, name)
        known = {part.name for part in fields(cls)} - {"schema"}
        if content.keys() - {"schema"} and not content.keys() & known:
            raise OgaError(f"{name} does not say how data was scored: it is of another program. Give another folder.")
        values = {part.name: content[part.name] for part in fields(cls) if part.name in content}
        record: RunInfo = _typed(cls, values, name)
        if record.modality and record.modality not in MODALITIES:
            raise OgaError(
                f"{name} is damaged: 'modality' is {record.modality[:80]!r}, where one of {', '.join(MODALITIES)} "
                "belongs. Score the data again into a new folder."
            )
        if record.target not in TARGETS:
            raise _damaged(name, "target", record.target[:80], f"one of {', '.join(TARGETS)}")
        return record

    def as_json(self) -> dict[str, Any]:
        """Return the record as it is written."""
        return asdict(self)


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a run.json, empty before the first write. Raises `OgaError` for what is no JSON object."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OgaError(
            f"{path} cannot be read: {error.strerror}. Change its permissions, or give another run."
        ) from None
    except (ValueError, RecursionError) as error:
        raise OgaError(f"{path} is damaged: {error}. Score the data again into a new folder.") from None
    if not isinstance(content, dict):
        raise OgaError(f"{path} holds {_called(content)}, not the record of a run. Score the data into a new folder.")
    return content


def _upgraded(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Bring the record of an older version up to this one."""
    schema = content.get("schema", 1)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise _damaged(name, "schema", schema, "a whole number above 0")
    if schema > SCHEMA:
        raise OgaError(
            f"{name} was written by a newer version of oga (record {schema}; this version reads up to {SCHEMA}). "
            "Install that version to open the run."
        )
    upgraded = {**content, "schema": SCHEMA}
    noise_rate = upgraded.get("noise_rate")
    if isinstance(noise_rate, Mapping) and "estimate" in noise_rate:
        bounds = {bound: noise_rate.get(bound, noise_rate["estimate"]) for bound in ("low", "high")}
        upgraded["noise_rate"] = {"rate": noise_rate["estimate"], **bounds}
    elif isinstance(noise_rate, (int, float)) and not isinstance(noise_rate, bool):
        upgraded["noise_rate"] = {"rate": noise_rate, "low": noise_rate, "high": noise_rate}
    return upgraded


def _typed(record: type, values: Mapping[str, Any], name: str) -> Any:
    hints = get_type_hints(record)
    return record(**{key: _converted(hints[key], value, name, key) for key, value in values.items()})


def _converted(hint: Any, value: Any, name: str, key: str) -> Any:
    """Check one value of the JSON against its type; lists become tuples, objects the records that they stand for."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    expected = next(option for option in options if option is not type(None))
    if hasattr(expected, "__dataclass_fields__"):
        if not isinstance(value, Mapping):
            raise _damaged(name, key, value, "an object")
        known = {part.name: value[part.name] for part in fields(expected) if part.name in value}
        try:
            return _typed(expected, known, name)
        except TypeError:
            raise _damaged(name, key, value, "an object with all its parts") from None
    origin = get_origin(expected) or expected
    if origin is tuple:
        if not isinstance(value, list):
            raise _damaged(name, key, value, "a list")
        return tuple(_converted(get_args(expected)[0], item, name, key) for item in value)
    accepted = (int, float) if origin is float else origin
    if not isinstance(value, accepted) or (isinstance(value, bool) and origin is not bool):
        raise _damaged(name, key, value, _WORDS[origin])
    if key in _SHARES and not 0 <= value <= 1:
        raise _damaged(name, key, value, "a share from 0 to 1")
    if isinstance(value, dict) and get_args(expected)[1] is not Any:
        return {str(part): _converted(get_args(expected)[1], item, name, key) for part, item in value.items()}
    return value


_SHARES = frozenset({"rate", "low", "high", "suggested_trim_fraction", "model_accuracy_on_given_labels"})
_WORDS: dict[Any, str] = {str: "text", int: "a whole number", float: "a number", dict: "an object"}


def _damaged(name: str, key: str, value: Any, expected: str) -> OgaError:
    return OgaError(
        f"{name} is damaged: {key!r} is {_called(value)}, where {expected} belongs. "
        "Score the data again into a new folder."
    )


def _called(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), f"the number {value!r}")
