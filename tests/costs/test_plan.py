"""What a run will take, said before it runs: near enough to what it then takes."""

import time
from pathlib import Path

import numpy as np
import pytest
from here import score_here

import oga_sample_data
from oga_core.costs.cost_model import TERMS, Cost, CostModel, Size
from oga_core.costs.measured import Measured
from oga_core.costs.plan import plan
from oga_core.costs.probe import probe_seconds
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import outputs_pass
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.request import PassRequest
from oga_core.previews import trial
from oga_core.scores import compute_scores

SAMPLES = Path(oga_sample_data.__path__[0])
MAGNITUDE = 10.0
MEASURED = Measured(
    n_samples=100_000,
    n_tried=80,
    n_features=64,
    n_outputs=10,
    sketch_dim=512,
    target="class",
    first_seconds=1.0,
    sample_seconds=1e-3,
    memory_mb=400.0,
    bytes_a_sample=2356.0,
    probe_seconds=CostModel.load().probe_seconds,
    reading_seconds=2.0,
)


def test_scores_take_what_was_planned_within_an_order_of_magnitude(tmp_path):
    random = np.random.default_rng(0)
    labels = random.integers(4, size=1500)
    features = (random.standard_normal((1500, 24)) + 2 * np.eye(24)[labels]).astype(np.float32)
    logits = features[:, :4] * 2
    outputs_pass(logits, features, labels, folder=tmp_path, options=PassOptions(device="cpu"))
    start = time.process_time()
    compute_scores(GradientSketch.load(tmp_path))
    seconds = time.process_time() - start
    speed = probe_seconds() / CostModel.load().probe_seconds
    expected, _ = CostModel.load().of_scores((), Size(1500, 24, 4, 96))
    assert 1 / MAGNITUDE < seconds / (expected * speed) < MAGNITUDE


def test_a_small_run_leaves_what_was_planned_on_disk(tmp_path):
    options = ScoreOptions(label_column="diagnosis", device="cpu", scores=("loss", "margin"), map="none")
    data = (SAMPLES / "tumours.csv", SAMPLES / "tumours.pt2")
    answer = trial.run(PassRequest.of(*data, tmp_path, options).__dict__, lambda event: None)
    whole = plan(Measured.from_json(answer), options)
    run = score_here(*data, tmp_path / "run", options)
    used = sum(path.stat().st_size for path in (run.path / "arrays").rglob("*") if path.is_file()) / 2**20
    assert whole.n_samples == len(run.table)
    assert used / 2 < whole.disk_mb < used * 2
    assert [stage.name for stage in whole.stages] == ["read", "gradients", "scores"]


def test_costs_grow_with_the_samples_and_shrink_with_the_scores():
    small = plan(MEASURED, ScoreOptions(), cores=2)
    large = plan(Measured(**{**MEASURED.__dict__, "n_samples": 1_000_000}), ScoreOptions(), cores=2)
    few = plan(MEASURED, ScoreOptions(scores=("loss",), map="none"), cores=2)
    for low, high in ((small.seconds, large.seconds), (few.seconds, small.seconds), (small.memory_mb, large.memory_mb)):
        assert low[0] < high[0]
        assert low[1] < high[1]
    assert large.disk_mb == pytest.approx(10 * small.disk_mb)
    assert all(0 <= stage.seconds[0] <= stage.seconds[1] for stage in small.stages)


def test_workers_share_the_pass_and_are_merged():
    alone = {stage.name: stage for stage in plan(MEASURED, ScoreOptions(), cores=2).stages}
    many = {stage.name: stage for stage in plan(MEASURED, ScoreOptions(), workers=10, cores=2).stages}
    assert many["gradients"].seconds[0] < alone["gradients"].seconds[0] / 5
    assert many["gradients"].seconds[1] == alone["gradients"].seconds[1]  # on one machine they may share its cores
    assert "merge" in many
    assert "merge" not in alone


def test_other_labels_than_classes_widen_the_range_and_say_so():
    numbers = plan(Measured(**{**MEASURED.__dict__, "target": "number"}), ScoreOptions(), cores=2)
    classes = plan(MEASURED, ScoreOptions(), cores=2)
    assert numbers.seconds[1] > classes.seconds[1]
    assert "guess" in numbers.notes[0]
    assert classes.notes == ()


def test_a_cost_that_is_a_sum_of_its_terms_is_found():
    sizes = [Size(n, d, c, min(512, c * d)) for n in (500, 4000, 30_000) for d in (8, 90) for c in (2, 11)]
    cost = Cost.fitted(sizes, [2.0 + 3e-4 * size.n_samples * size.n_features for size in sizes])
    assert cost.spread == 1.0
    assert cost.of(Size(100_000, 64, 10, 512)) == pytest.approx(2.0 + 3e-4 * 6_400_000, rel=0.01)


def test_what_is_fitted_on_a_sample_costs_no_more_with_more_of_them():
    terms = [dict(zip(TERMS, Size(n, 64, 10, 512).terms(), strict=True)) for n in (50_000, 100_000, 1_000_000)]
    assert [each["min(n, 100000) c"] for each in terms] == [500_000, 1_000_000, 1_000_000]
    assert [each["n"] for each in terms] == [50_000, 100_000, 1_000_000]
