"""Runs of numbers, of several labels and under a loss of one's own, trained again and judged by errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from here import score_here, verify_here
from label_runs import NAMES, package, scenes, write_flags
from label_runs import make_run as make_label_run
from label_runs import trained as trained_on_scenes
from number_runs import NumberRun, make_run, write_csv
from test_own_losses import CASES

from oga_app.views.comparison.retrain import said
from oga_core import open_run
from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.retrain import verify
from oga_core.retrain.arms import DECIDED, NOTHING_CHANGED, RANDOM_TRIM, RELABELLED, TRIMMED


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> NumberRun:
    return make_run(tmp_path_factory.mktemp("numbers"))


def test_wrong_numbers_cost_error_and_random_ones_do_not(numbers: NumberRun, tmp_path: Path) -> None:
    open_run(numbers.run.path).decide([f"h{i:03d}" for i in range(15)], "remove")
    open_run(numbers.run.path).decide("h016", relabel=str(numbers.true[16]))
    rows = np.random.default_rng(5).normal(size=(150, 3))
    clean = write_csv(tmp_path / "clean.csv", rows, 200 + 40 * rows[:, 0] + 20 * np.sin(2 * rows[:, 1]))
    summary = verify_here(numbers.run, trim_fraction=0.1, validation=clean, seeds=2)
    assert summary["measure"] == "mean absolute error"
    arms = summary["arms"]
    assert set(arms) == {NOTHING_CHANGED, TRIMMED, RANDOM_TRIM, RELABELLED, DECIDED}
    assert arms[TRIMMED]["gain"]["says"] == "better"
    assert arms[TRIMMED]["gain"]["mean"] > 1.5 * arms[RANDOM_TRIM]["gain"]["mean"]
    assert arms[RELABELLED]["gain"]["says"] == "better"
    assert 25 <= arms[RELABELLED]["n_relabelled"] <= 30
    assert arms[DECIDED]["n_train"] < arms[NOTHING_CHANGED]["n_train"] - 9, "removed, as far as they were drawn"
    assert "the mean absolute error of 150 validation samples is" in summary["verdict"]
    assert "the mean absolute error changes by -" in said(summary)[0]


def test_whole_networks_of_numbers_are_trained_with_their_loss(numbers: NumberRun) -> None:
    summary = verify_here(numbers.run, trim_fraction=0.1, depth="all", seeds=1, epochs=6, decisions=False)
    assert summary["start"] == "random weights"
    base = summary["arms"][NOTHING_CHANGED]["loss"]["mean"]
    assert 20 < base < 400, "in the units of the prices; the wrong ones that judge too are up to 2,000 off"


def test_lists_of_labels_are_judged_by_their_mean_loss(tmp_path: Path) -> None:
    rows, true, given = scenes()
    data = write_flags(tmp_path / "scenes.csv", rows, given)
    model = package(tmp_path / "model.pt2", trained_on_scenes(rows, given))
    run = make_label_run(tmp_path, data, model, ",".join(NAMES), scores=("oga",))
    clean = write_flags(tmp_path / "clean.csv", rows, true)
    summary = verify_here(run, trim_fraction=0.25, validation=clean, seeds=2)
    assert summary["measure"] == "mean loss"
    arms = summary["arms"]
    assert arms[RELABELLED]["gain"]["says"] == "better"
    assert arms[TRIMMED]["gain"]["mean"] > arms[RANDOM_TRIM]["gain"]["mean"]


def test_a_loss_of_ones_own_trains_the_whole_network(tmp_path: Path) -> None:
    case = CASES["vector"]()
    data, model = case.files(tmp_path)
    run = score_here(data, model, tmp_path / "run", ScoreOptions(label_column="y,z", map="none", scores=("loss",)))
    with pytest.raises(OgaError, match="the whole network is trained"):
        verify(run, trim_fraction=0.1, depth="head")
    summary = verify(run, trim_fraction=0.1, seeds=1, epochs=5)
    assert set(summary["arms"]) == {NOTHING_CHANGED, TRIMMED, RANDOM_TRIM}
    assert summary["measure"] == "mean loss"
