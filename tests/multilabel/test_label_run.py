"""A model of several labels from its file and a table to scores, findings, decisions and the table as it came in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from export_runs import export_here
from label_runs import NAMES, make_run, package, scenes, trained, write_flags, write_lists
from sklearn.metrics import average_precision_score

from oga_core import open_run
from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.targets import labels_in, with_flags
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.scores.multilabel.evidence import wrong_labels
from oga_core.scores.multilabel.rates import label_rates

ROWS, TRUE, GIVEN = scenes()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("labels")
    model = package(folder / "model.pt2", trained(ROWS, GIVEN))
    return make_run(folder, write_flags(folder / "scenes.csv", ROWS, GIVEN), model, ",".join(NAMES))


def test_the_run_says_what_was_predicted(run: RunFolder) -> None:
    info = run.info
    assert (info.target, info.classes, info.label_names) == ("labels", (), NAMES)
    assert info.loss == {"name": "binary_cross_entropy"}
    assert info.gradient_check_error is not None
    assert info.gradient_check_error < 1e-5
    expected = [" | ".join(np.array(NAMES)[flags]) or "(none)" for flags in GIVEN]
    assert run.table["given_label"].tolist() == expected
    sketch = run.gradient_sketch()
    assert sketch.outputs is not None
    logits = np.asarray(sketch.outputs, dtype=np.float64)
    np.testing.assert_allclose(sketch.losses, np.logaddexp(0, np.where(GIVEN, -logits, logits)).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(sketch.delta, (1 / (1 + np.exp(-logits)) - GIVEN) / len(NAMES), atol=1e-5)


def test_wrong_labels_come_first(run: RunFolder) -> None:
    wrong = TRUE ^ GIVEN
    table = run.table
    ours = average_precision_score(wrong.any(axis=1), table["score_oga"])
    assert ours > average_precision_score(wrong.any(axis=1), table["score_loss"]) - 0.02
    rates = wrong_labels(run.gradient_sketch())
    assert average_precision_score(wrong.ravel(), rates.probability.ravel()) > 0.6
    assert 0.07 < rates.dropped < 0.25
    assert rates.added < 0.06
    assert abs(rates.wrong - wrong.mean()) < 0.04
    missing = table["finding"] == "likely missing label"
    assert wrong.any(axis=1)[missing].mean() > 0.6
    assert "is missing" in table["reason"][missing].iloc[0]
    assert not {"score_margin", "score_absolute_residual", "score_self_hessian"} & set(table.columns)


def test_other_labels_are_decided_and_exported_in_their_columns(run: RunFolder, tmp_path: Path) -> None:
    desk = open_run(run.path)
    desk.decide("s3", relabel="city | snow")
    desk.decide("s5", relabel="(none)")
    desk.decide("s6", "remove")
    with pytest.raises(OgaError, match="'moon' is not one of the run's"):
        desk.decide("s7", relabel="sea | moon")
    before = (run.path.parent / "scenes.csv").read_text().splitlines()
    after = export_here(run, "fixed", tmp_path / "fixed").read_text().splitlines()
    assert after[4].split(",")[-4:] == ["0", "1", "1", "0"]
    assert after[6].split(",")[-4:] == ["0", "0", "0", "0"]
    assert after[1:4] == before[1:4]
    assert after[7] == before[8]
    row = json.loads(export_here(run, "jsonl", tmp_path / "rows").read_text().splitlines()[3])
    assert (row["action"], row["corrected_label"]) == ("relabel", "city | snow")


def test_suggestions_of_the_machine_can_be_applied(run: RunFolder, tmp_path: Path) -> None:
    suggested = ScoredRun(run.path).suggested_labels
    assert 5 < (suggested != "").sum() < 120
    written = export_here(run, "fixed", tmp_path / "applied", apply="suggestions")
    samples = with_flags(read_samples(written, label_column=",".join(NAMES)), NAMES)
    assert samples.targets is not None
    fixed = samples.targets > 0
    assert (fixed != TRUE).sum() < (GIVEN != TRUE).sum()


def test_a_list_stays_a_list(tmp_path: Path) -> None:
    rows, given = ROWS[:150], GIVEN[:150]
    model = package(tmp_path / "model.pt2", trained(rows, given, epochs=20))
    data = write_lists(tmp_path / "scenes.jsonl", rows, given)
    run = make_run(tmp_path, data, model, "tags", scores=("loss",))
    open_run(run.path).decide("s2", relabel="sea | night")
    after = export_here(run, "fixed", tmp_path / "fixed").read_text().splitlines()
    assert json.loads(after[2])["tags"] == ["sea", "night"]
    assert [*after[:2], *after[3:]] == [*data.read_text().splitlines()[:2], *data.read_text().splitlines()[3:]]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("a|b", ["a", "b"]),
        ("a; b", ["a", "b"]),
        ("a,b", ["a", "b"]),
        ("a", ["a"]),
        ("(none)", []),
        ("[]", []),
        ("[odd", ["[odd"]),
    ],
)
def test_labels_of_a_cell_are_told_apart(text: str, labels: list[str]) -> None:
    assert labels_in(text) == labels


def test_a_label_that_the_model_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("id,x,tags\n1,2,sea|moon\n2,3,city\n")
    with pytest.raises(OgaError, match="does not know: 'moon'"):
        with_flags(read_samples(path, label_column="tags"), NAMES)


def test_a_column_that_says_neither_yes_nor_no_is_told(tmp_path: Path) -> None:
    path = tmp_path / "flags.csv"
    path.write_text("id,x,sea,city\n" + "".join(f"{i},1,{i % 2},0\n" for i in range(40)) + "40,1,maybe,1\n")
    samples = read_samples(path, label_column="sea, city")
    assert [problem.sample_id for problem in samples.problems] == ["40"]
    assert set(samples.class_names) == {"sea", "(none)"}
    assert list(samples.inputs[0]) == ["x"]


def test_rates_are_found_where_fits_know_the_labels() -> None:
    rng = np.random.default_rng(0)
    there = 1 / (1 + np.exp(-8 * rng.normal(-0.5, 1, size=(3000, 4))))
    true = rng.random(there.shape) < there
    given = np.where(true, rng.random(true.shape) >= 0.2, rng.random(true.shape) < 0.02)
    likely = there * 0.8 + (1 - there) * 0.02
    rates = label_rates(np.log(likely / (1 - likely)), given.astype(float))
    assert rates.dropped == pytest.approx(0.2, abs=0.03)
    assert rates.added == pytest.approx(0.02, abs=0.01)
    assert average_precision_score((true != given).ravel(), rates.probability.ravel()) > 0.7
