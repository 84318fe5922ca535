"""Detection metrics against the independent script's definitions, and what a person may give wrongly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from oga_core.errors import OgaError
from oga_core.evaluation.truth import detection, evaluate, read_truth
from oga_core.runs.folder import RunFolder

N = 200
ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("OGA_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def run(tmp_path):
    """A run of 200 samples with ids 000 … 199, of which every fifth is mislabelled, and two scores."""
    rng = np.random.default_rng(0)
    wrong = np.arange(N) % 5 == 0
    run = RunFolder.create(tmp_path / "run")
    run.update(status="done")
    run.write_table(
        pd.DataFrame(
            {
                "sample_id": [f"{i:03d}" for i in range(N)],
                "given_label": np.where(wrong, "NA", "dog"),
                "score_loss": wrong + rng.normal(size=N),
                "score_oga": wrong + 0.1 * rng.normal(size=N),
            }
        )
    )
    return run


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("file,true_label\n" + "".join(f"{i:03d},dog\n" for i in reversed(range(N))))
    return path


def test_the_metrics_are_scikit_learns(run, truth):
    metrics = evaluate(run, truth)
    wrong, scores = np.arange(N) % 5 == 0, run.table["score_loss"].to_numpy()
    assert (metrics["n"], metrics["missing"], metrics["noise_rate"]) == (N, 0, 0.2)
    assert metrics["noise_rate_by_class"] == {"NA": 1.0, "dog": 0.0}
    assert metrics["scores"]["loss"]["auroc"] == pytest.approx(roc_auc_score(wrong, scores))
    assert metrics["scores"]["loss"]["ap"] == pytest.approx(average_precision_score(wrong, scores))
    top = np.argsort(-scores)
    for name, count in (("5pct", 10), ("10pct", 20), ("noise", 40)):
        assert metrics["scores"]["loss"][f"p_at_{name}"] == pytest.approx(wrong[top[:count]].mean())
        assert metrics["scores"]["loss"][f"r_at_{name}"] == pytest.approx(wrong[top[:count]].sum() / 40)
    assert metrics["scores"]["oga"]["ap"] == 1.0


def test_the_numbers_are_those_of_the_shared_script(run, truth):
    script = SHARED.parent / "tools" / "detection_metrics.py"
    if not script.exists():
        pytest.skip(f"no shared tools at {script}: set OGA_SHARED_DATA")
    table = run.table.assign(sample_id=[f"s{name}" for name in run.table["sample_id"]])
    run.write_table(table.assign(given_label=np.where(np.arange(N) % 5 == 0, "cat", "dog")))
    truth.write_text("file,true_label\n" + "".join(f"s{i:03d},dog\n" for i in range(N)))
    command = [sys.executable, str(script), str(run.path / "scores.parquet"), str(truth)]
    theirs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ours = evaluate(run, truth)
    for name, metrics in theirs.pop("scores").items():
        assert {key: ours["scores"][name][key] for key in metrics} == pytest.approx(metrics)
    assert {key: ours[key] for key in theirs} == theirs


def test_ties_keep_the_order_of_the_data():
    assert detection(np.array([True, False, False, False]), np.zeros(4))["p_at_5pct"] == 1.0
    assert detection(np.array([False, False, False, True]), np.zeros(4))["p_at_5pct"] == 0.0


def test_without_any_wrong_label_there_is_nothing_to_rank():
    metrics = detection(np.zeros(4, dtype=bool), np.arange(4.0))
    assert metrics["auroc"] is metrics["ap"] is metrics["r_at_noise"] is None
    assert metrics["p_at_noise"] == 0.0


def test_a_truth_that_would_run_is_text(tmp_path):
    program = "__import__('os').system('touch ran')"
    (tmp_path / "truth.csv").write_text(f'id,true_label\n0,"{program}"\n1,=cmd()\n2,"!!python/object:os.system"\n')
    assert read_truth(tmp_path / "truth.csv").tolist() == [program, "=cmd()", "!!python/object:os.system"]


def test_another_id_column_can_be_chosen(run, tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("true_label,key\n" + "".join(f"dog,{i:03d}\n" for i in range(N)))
    assert evaluate(run, path, "key")["n"] == N
    with pytest.raises(OgaError, match=r"first column of truth.csv is 'true_label'.*--id-column"):
        evaluate(run, path)
    with pytest.raises(OgaError, match=r"no column 'id'; it has 'true_label', 'key'"):
        evaluate(run, path, "id")


def test_a_few_unreadable_samples_are_counted(run, truth):
    run.write_table(run.table.iloc[3:])
    metrics = evaluate(run, truth)
    assert (metrics["n"], metrics["missing"]) == (N - 3, 3)


def test_truth_of_other_data_is_refused(run, truth):
    truth.write_text(truth.read_text().replace("\n0", "\nimages/0"))
    with pytest.raises(OgaError, match=r"100 of the 200 ids in truth.csv are not in the run .*'images/0.*like '000'"):
        evaluate(run, truth)


def test_labels_under_other_names_are_refused(run, truth):
    truth.write_text(truth.read_text().replace(",dog", ",5"))
    with pytest.raises(
        OgaError, match=r"No true label in truth.csv is one of the given labels: '5' against 'NA', 'dog'"
    ):
        evaluate(run, truth)


def test_a_run_without_labels_is_refused(run, truth):
    run.write_table(run.table.assign(given_label=None))
    with pytest.raises(OgaError, match="has no labels"):
        evaluate(run, truth)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no file"),
        (b"", "cannot be read as CSV"),
        (b"\xff\xfe\x00\x01", "cannot be read as CSV"),
        (b"id,true_label\n", "has no rows"),
        (b"id,label\n000,dog\n", "no column 'true_label'; it has 'id', 'label'"),
        (b"id,true_label\n000,dog\n000,cat\n", "the id '000' more than once"),
    ],
)
def test_unusable_files_are_named(run, truth, content, message):
    truth.unlink() if content is None else truth.write_bytes(content)
    with pytest.raises(OgaError, match=message):
        evaluate(run, truth)
