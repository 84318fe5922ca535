"""A model of numbers from its file and a table to scores, findings, decisions and the table as it came in."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from export_runs import export_here
from number_runs import NumberRun, make_run, package, prices, trained, write_csv
from sklearn.metrics import average_precision_score

from oga_core import open_run
from oga_core.errors import OgaError
from oga_core.evaluation.truth import evaluate
from oga_core.models.pt2.reader import read_pt2
from oga_core.pipeline.options import ScoreOptions
from oga_core.review import Decision
from oga_core.review.board import DecisionBoard
from oga_core.review.carrying import RELABELLED, carried
from oga_core.review.filters import Filters
from oga_core.review.proposals import decide_alike
from oga_core.review.selection import Selection
from oga_core.review.store import ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> NumberRun:
    return make_run(tmp_path_factory.mktemp("numbers"))


def test_the_run_says_what_was_predicted(numbers: NumberRun) -> None:
    info = numbers.run.info
    assert (info.target, info.classes, info.modality) == ("number", (), "tabular")
    assert info.loss["name"] == "mean_squared_error"
    assert info.gradient_coverage == 1
    assert info.gradient_check_error is not None
    assert info.gradient_check_error < 1e-5
    table = numbers.run.table
    np.testing.assert_allclose(table["given_value"], numbers.given)
    assert table["given_label"][20] == f"{numbers.given[20]:.1f}".removesuffix(".0")
    x = torch.from_numpy(pd.read_csv(numbers.data)[["rooms", "size", "age"]].to_numpy(dtype=np.float32))
    with torch.no_grad():
        outputs = read_pt2(numbers.model)[0](x)[:, 0].numpy()
    np.testing.assert_allclose(
        table["predicted_value"], outputs * numbers.given.std() + numbers.given.mean(), rtol=1e-4
    )


def test_gradient_scores_are_those_of_the_loss(numbers: NumberRun) -> None:
    sketch = numbers.run.gradient_sketch()
    assert sketch.features is not None
    errors = (numbers.run.table["predicted_value"] - numbers.given) / numbers.given.std()
    np.testing.assert_allclose(sketch.losses, errors**2, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(sketch.delta[:, 0], 2 * errors, rtol=1e-3, atol=1e-4)
    norm = 2 * np.abs(errors) * np.linalg.norm(sketch.features, axis=1)
    np.testing.assert_allclose(numbers.run.table["score_l2_norm"], norm, rtol=1e-3, atol=1e-4)


def test_only_scores_that_hold_are_there(numbers: NumberRun) -> None:
    names = set(ScoredRun(numbers.run.path).scores)
    assert {"oga", "absolute_residual", "loss", "l1_norm", "l2_norm", "isolation_forest", "self_datainf"} <= names
    assert not {"margin", "entropy", "self_hessian", "l2_norm_per_class", "feature_neighbours"} & names


def test_wrong_numbers_come_first_and_are_corrected(numbers: NumberRun) -> None:
    table = numbers.run.table
    assert average_precision_score(numbers.wrong, table["score_oga"]) > 0.95
    info = numbers.run.info
    assert info.noise_rate is not None
    assert 0.07 < info.noise_rate.rate < 0.13
    assert info.noise_rate.low < 0.1 < info.noise_rate.high
    assert (table["wrong_label_probability"][numbers.wrong] > 0.5).mean() > 0.9
    assert (table["wrong_label_probability"][~numbers.wrong] > 0.5).mean() < 0.03
    slips = table["finding"] == "likely decimal slip"
    assert slips[:15].mean() > 0.9
    suggested = pd.to_numeric(table["suggested_label"][:30], errors="coerce")
    assert np.nanmedian(np.abs(suggested[:15] - numbers.true[:15])) < 0.06, "the point is moved back"
    assert np.nanmedian(np.abs(suggested[15:30] - numbers.true[15:30])) < 8


def test_a_new_value_is_decided_and_exported(numbers: NumberRun, tmp_path: Path) -> None:
    run = open_run(numbers.run.path)
    run.decide("h003", relabel="201.5")
    run.decide("h004", "remove")
    with pytest.raises(OgaError, match="'many' is not a number"):
        run.decide("h005", relabel="many")
    before = numbers.data.read_text().splitlines()
    after = export_here(numbers.run, "fixed", tmp_path / "fixed").read_text().splitlines()
    assert after[4] == before[4].rsplit(",", 1)[0] + ",201.5"
    assert after[5] == before[6], "the row after the one that is gone"
    assert len(after) == len(before) - 1
    row = json.loads(export_here(numbers.run, "jsonl", tmp_path / "rows").read_text().splitlines()[3])
    assert (row["action"], row["corrected_label"], row["is_label_issue"]) == ("relabel", "201.5", True)
    assert row["given_label"] == f"{numbers.given[3]:.1f}".removesuffix(".0")
    report = export_here(numbers.run, "report", tmp_path / "report.html").read_text()
    assert "201.5" in report or "Relabel" in report


def test_the_run_is_judged_by_true_numbers_however_they_are_written(numbers: NumberRun, tmp_path: Path) -> None:
    truth = pd.DataFrame({"id": numbers.run.table["sample_id"], "true_label": [f"{x:.3f}" for x in numbers.true]})
    truth.to_csv(tmp_path / "truth.csv", index=False)
    judged = evaluate(numbers.run, tmp_path / "truth.csv")
    assert judged["noise_rate"] == pytest.approx(numbers.wrong.mean())
    assert judged["noise_rate_by_class"] == {}
    assert judged["scores"]["oga"]["ap"] > 0.95


def test_other_formats_hold_numbers_or_say_why_not(numbers: NumberRun, tmp_path: Path) -> None:
    open_run(numbers.run.path).decide("h007", relabel="99.5")
    folder = export_here(numbers.run, "huggingface", tmp_path / "hf")
    rows = {row["id"]: row for row in map(json.loads, (folder / "train.jsonl").read_text().splitlines())}
    assert float(rows["h007"]["price"]) == 99.5
    with pytest.raises(OgaError, match=r"Label Studio|images and texts"):
        export_here(numbers.run, "label-studio", tmp_path / "ls")


def test_suggestions_are_taken_in_one_step(numbers: NumberRun) -> None:
    scored = ScoredRun(numbers.run.path)
    made = decide_alike(scored, range(40), "suggest")
    assert 25 <= len(made) <= 32
    assert all(decision.action == "relabel" and float(str(decision.new_label)) for decision in made)


def test_an_output_without_its_axis_gives_the_same_scores(numbers: NumberRun, tmp_path: Path) -> None:
    from here import score_here

    rows, _, given = prices()
    data = write_csv(tmp_path / "prices.csv", rows, given)
    model = package(tmp_path / "squeezed.pt2", trained(rows, given, squeezed=True), given)
    options = ScoreOptions(label_column="price", map="none", scores=("l2_norm", "oga"))
    run = score_here(data, model, tmp_path / "run", options)
    for name in ("score_l2_norm", "score_oga"):
        np.testing.assert_allclose(run.table[name], numbers.run.table[name], rtol=1e-3)


def test_a_score_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="one class a sample"):
        make_run(tmp_path, scores=("margin",))


def test_a_range_of_the_given_value_filters(numbers: NumberRun) -> None:
    data = ScoredRun(numbers.run.path)
    filters = Filters.from_json(Filters(value_range=(150, 220.5)).to_json())
    assert list(filters.chips()) == [("value_range", "given value: 150 to 220.5")]
    with closing(ReviewStore(numbers.run.review)) as store:
        board = DecisionBoard(data, store)
        chosen = Selection.of(filters, data, board, "oga", 30, lambda text: data.given > 0).chosen
    np.testing.assert_array_equal(chosen, (numbers.given >= 150) & (numbers.given <= 220.5))


def test_new_values_that_the_data_have_now_are_done(numbers: NumberRun, tmp_path: Path) -> None:
    old = ScoredRun(numbers.run.path)
    later = RunFolder(shutil.copytree(numbers.run.path, tmp_path / "later"))
    table = later.table
    table.loc[:1, "given_label"] = ["12.5", "99"]
    later.write_table(table)
    decisions = [Decision(str(old.ids[row]), "relabel", "12.50") for row in range(3)]
    result = carried(old, ScoredRun(later.path), {made.sample_id: made for made in decisions})
    assert result.applied == (str(old.ids[0]),)
    assert [(item.decision.sample_id, item.reason) for item in result.stale] == [(str(old.ids[1]), RELABELLED)]
    assert [made.action for made in result.decisions] == ["keep", "relabel"]
