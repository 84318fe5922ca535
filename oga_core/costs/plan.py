"""What a run will take, stage by stage: time and memory as ranges, and disk, before anything of it runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from oga_core.costs.cost_model import CostModel, Size
from oga_core.costs.measured import Measured

if TYPE_CHECKING:
    from oga_core.pipeline.options import ScoreOptions

PASS_SPREAD = 1.5
"""A pass over a few samples tells that over all within this factor: batches are larger, rows longer or shorter."""
OTHER_KIND_SPREAD = 5.0
"""The costs were measured on classes; scores of numbers, labels and texts are others, in number and in work."""
COPY_BYTES = (50e6, 500e6)
"""A second, of shared and of local disks, to which a merge writes what it reads."""
TABLE_BYTES = 120
"""A sample takes in tables beside its scores: id, labels, row, finding, probabilities, map."""
DEFAULT_SCORES = 40
STARTUP_MB = 200.0
"""Held by a process that has imported what it needs, at least."""
Range = tuple[float, float]


@dataclass(frozen=True)
class Stage:
    """One stage: seconds of the clock and most memory in MiB, from and to, and MiB that it leaves on disk."""

    name: str
    seconds: Range
    memory_mb: Range
    disk_mb: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What a run will take. notes: what the numbers leave out."""

    n_samples: int
    device: str
    workers: int
    stages: tuple[Stage, ...]
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> Range:
        """Of all stages, from and to."""
        return sum(stage.seconds[0] for stage in self.stages), sum(stage.seconds[1] for stage in self.stages)

    @property
    def memory_mb(self) -> Range:
        """Most memory of one process in MiB, from and to; gradients are taken by as many as there are workers."""
        return max(stage.memory_mb[0] for stage in self.stages), max(stage.memory_mb[1] for stage in self.stages)

    @property
    def disk_mb(self) -> float:
        """What the run leaves on disk, in MiB."""
        return sum(stage.disk_mb for stage in self.stages)

    def as_json(self) -> dict[str, Any]:
        """Return the same as JSON, with the sums."""
        totals = {"seconds": self.seconds, "memory_mb": self.memory_mb, "disk_mb": self.disk_mb}
        return {**asdict(self), **totals}


def plan(measured: Measured, options: ScoreOptions, *, workers: int = 1, cores: int | None = None) -> Plan:
    """Return what scoring all samples takes, by a trial on this machine and the fitted model of what comes after it.

    workers: processes that take shards of the pass at once, 1 for none. cores: of the machine that scores. The ranges
    are as wide as the fit was off where it was measured, and from all cores free to one.
    """
    stages = [_reading(measured, workers), _gradients(measured, options, workers)]
    if workers > 1:
        stages.append(_merge(measured))
    stages += _after_the_pass(measured, options, cores or os.cpu_count() or 1)
    return Plan(measured.n_samples, measured.device, workers, tuple(stages), tuple(_notes(measured, options)))


def _reading(measured: Measured, workers: int) -> Stage:
    """Opening data and model, which every worker does."""
    low = measured.reading_seconds
    return Stage("read", (low, low * workers), (STARTUP_MB, measured.memory_mb))


def _gradients(measured: Measured, options: ScoreOptions, workers: int) -> Stage:
    passes = 1 + len(options.checkpoints)
    further = max(0, measured.n_samples - measured.n_tried)
    each = passes * measured.sample_seconds * further
    once = passes * measured.first_seconds
    low = (once + each / workers) / PASS_SPREAD
    high = (once + each) * PASS_SPREAD  # workers that share the cores of one machine take as long as one
    memory = (measured.memory_mb, measured.memory_mb + measured.batch_mb)
    return Stage("gradients", (low, high), memory, passes * _array_mb(measured))


def _merge(measured: Measured) -> Stage:
    n_bytes = 2 * measured.bytes_a_sample * measured.n_samples
    slow, fast = COPY_BYTES
    return Stage("merge", (n_bytes / fast, n_bytes / slow), (STARTUP_MB, measured.memory_mb))


def _after_the_pass(measured: Measured, options: ScoreOptions, cores: int) -> list[Stage]:
    """Scores, findings and map, on one machine."""
    model = CostModel.load()
    size = Size(measured.n_samples, measured.n_features, max(measured.n_outputs, 1), measured.sketch_dim)
    other = 1.0 if measured.target == "class" else OTHER_KIND_SPREAD
    seconds = {"scores": model.of_scores(options.scores, size)}
    if not options.scores or "oga" in options.scores:
        seconds["findings"] = (model.seconds["findings"].of(size), model.seconds["findings"].spread)
    if options.map == "umap":
        seconds["map"] = (model.seconds["map"].of(size), model.seconds["map"].spread)
    n_scores = len(options.scores) or DEFAULT_SCORES
    table_mb = measured.n_samples * (8 * n_scores + TABLE_BYTES) / 2**20
    speed = measured.probe_seconds / model.probe_seconds
    together = 1 - model.parallel + model.parallel / cores
    stages = []
    for name, (value, spread) in seconds.items():
        memory = model.memory_mb[name]
        off = spread * (1.0 if name == "map" else other)
        stages.append(
            Stage(
                name,
                (value * speed * together / off, value * speed * off),
                (memory.of(size) / memory.spread, memory.of(size) * memory.spread),
                table_mb if name == "scores" else 0.0,
            )
        )
    return stages


def _array_mb(measured: Measured) -> float:
    return measured.n_samples * measured.bytes_a_sample / 2**20


def _notes(measured: Measured, options: ScoreOptions) -> Sequence[str]:
    notes = []
    if measured.target != "class":
        notes.append("Scores and findings were measured on classes; for these labels the range is a guess.")
    if options.validation:
        notes.append("The pass over the validation data comes on top.")
    return notes
