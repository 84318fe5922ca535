"""What a trial measures of this data and this model on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One trial: how much there is, and what a few samples took.

    n_features, n_outputs: of the last layer, 0 where a language model's are not kept. target: class, number, labels
    or text. reading_seconds: until data and model were open. first_seconds: of a pass over a few samples, with what
    happens once. sample_seconds: of each further one. memory_mb: most that the worker held; batch_mb: what a batch
    of the whole pass may take beside. bytes_a_sample: of the arrays on disk. probe_seconds: of `probe`.
    """

    n_samples: int
    n_tried: int
    n_features: int
    n_outputs: int
    sketch_dim: int
    target: str
    first_seconds: float
    sample_seconds: float
    memory_mb: float
    bytes_a_sample: float
    probe_seconds: float
    reading_seconds: float = 0.0
    batch_mb: float = 0.0
    device: str = "cpu"

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Measured:
        """Return the record among what a trial answers."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})
