"""The loop, whole: score, decide, export the fixed data, score again from the first run, compare."""

import json
from pathlib import Path

from here import without_workers

import oga_sample_data
from oga_app.cli import main
from oga_core import open_run
from oga_core.runs.scored import ScoredRun

SAMPLE_DATA = Path(oga_sample_data.__file__).parent
TUMOURS = SAMPLE_DATA / "tumours.csv"
MODEL = SAMPLE_DATA / "tumours.pt2"


def test_a_second_run_takes_choices_and_decisions_along(tmp_path, capsys):
    options = ["--label-column", "diagnosis", "--map", "none", "--scores", "loss,margin", "--seed", "3"]
    with without_workers():
        assert main(["score", str(TUMOURS), "--model", str(MODEL), "--run", str(tmp_path / "first"), *options]) == 0
    run, data = open_run(tmp_path / "first"), ScoredRun(tmp_path / "first")
    wrong = [row for row in data.order("loss")[:40] if data.suggestions[row] >= 0][:12]
    for row in wrong[:9]:
        run.decide(str(data.ids[row]), relabel=data.classes[data.suggestions[row]])
    run.decide([str(data.ids[row]) for row in wrong[9:]], "remove")
    run.decide([str(name) for name in data.ids[data.order("loss")[-4:]]], "keep", reviewer="ann")
    with without_workers():
        fixed = run.export("fixed", tmp_path / "fixed.csv")
    again = ["score", str(fixed), "--model", str(MODEL), "--run", str(tmp_path / "second")]
    assert main([*again, "--previous", str(tmp_path / "first")]) == 0
    second = open_run(tmp_path / "second")
    assert second.info.options == run.info.options
    assert second.info.carried == {"carried": 13, "applied": 12, "stale": {}}
    assert second.decisions["action"].tolist() == ["keep"] * 13
    assert set(second.decisions["reviewer"]) == {"me", "ann"}
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "first"), str(tmp_path / "second"), "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["samples"] == {"old": 569, "new": 566, "same": 566, "gone": 3, "added": 0}
    assert compared["decided"]["relabel"]["applied"] == compared["decided"]["relabel"]["agreed"] == 9
    assert compared["accuracy_on_given_labels"]["new"] > compared["accuracy_on_given_labels"]["old"]
