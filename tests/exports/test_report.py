import re

import numpy as np
import pandas as pd
import pytest

from oga_core.errors import OgaError
from oga_core.exports import export
from oga_core.exports.report import write_report
from oga_core.readers import read_samples
from oga_core.review import ReviewStore
from oga_core.review.decisions import Decision
from oga_core.runs.folder import RunFolder

HOSTILE = "<script>alert(1)</script> ![x](https://example.org/track.png)"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    data = tmp_path / "data.csv"
    texts = [HOSTILE, "نص عربي", "一段中文", *(f"text {i}" for i in range(37))]
    labels = ["a", "<b>"] * 20
    pd.DataFrame({"id": range(40), "text": texts, "label": labels}).to_csv(data, index=False)
    samples = read_samples(data)
    run = RunFolder.create(tmp_path / "run")
    run.update(
        status="done",
        data={"path": str(data), "options": {}, "fingerprint": samples.fingerprint},
        model={"path": str(data)},
        modality="text",
        classes=list(samples.class_names),
        default_score="loss",
        options={"seed": 0},
        warnings=["<i>careful</i>"],
    )
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sample_id": samples.ids,
            "given_label": labels,
            "predicted_label": labels[::-1],
            "score_loss": np.arange(40.0)[::-1],
            "map_x": random.normal(size=40),
            "map_y": random.normal(size=40),
        }
    )
    run.write_table(table)
    return run


def test_the_report_holds_decisions_estimates_and_examples(run, tmp_path):
    store = ReviewStore(run.review)
    store.decide(Decision("0", "relabel", "<b>", reviewer="Ada"))
    store.decide(Decision("1", "keep", reviewer="Ada"))
    page = write_report(run, tmp_path / "report.html", trim_fraction=0.25).read_text(encoding="utf-8")
    assert "<dd>25.0% (10 samples)</dd>" in page
    assert "2 of 40" in page
    assert "Ada (2)" in page
    assert re.search(r"Precision above the threshold</dt><dd>\d+% \(\d+% to \d+%\)", page)
    assert "relabel to &lt;b&gt;" in page
    assert "نص عربي" in page
    assert "一段中文" in page
    assert page.count("<figure>") == 24
    nothing = write_report(run, tmp_path / "nothing.html", trim_fraction=0).read_text(encoding="utf-8")
    assert "Precision above the threshold" not in nothing


def test_nothing_of_the_data_becomes_code_or_is_fetched(run, tmp_path):
    page = write_report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>&lt;b&gt;</b>" in page
    assert "<i>" not in page
    assert 'src="http' not in page
    assert "default-src 'none'" in page


def test_the_report_is_an_export_format(run, tmp_path):
    path = export(run, "report", tmp_path / "out")
    assert path.name == "out.html"
    assert "What was decided" in path.read_text(encoding="utf-8")


def test_a_run_without_scores_has_no_report(tmp_path):
    run = RunFolder.create(tmp_path / "run")
    run.update(status="running", default_score="loss")
    with pytest.raises(OgaError, match="has no scores yet"):
        write_report(run, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_damaged_retraining_costs_no_report(run, tmp_path):
    (run.path / "verify.json").write_text('{"verdict": "Tri')
    write_report(run, tmp_path / "report.html")
    assert "The result of the retraining is damaged" in (tmp_path / "report.html").read_text()
    (run.path / "verify.json").write_text("[]")
    write_report(run, tmp_path / "report.html")
