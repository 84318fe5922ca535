"""What the machine proposes, exported without a review: trimmed, relabelled, and marked as such."""

import csv
import json

import pytest
from app_runs import image_run, text_run
from here import without_workers

from oga_app.cli import main
from oga_core import open_run
from oga_core.errors import OgaError
from oga_core.exports import export
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.review.proposals import MACHINE
from oga_core.runs.scored import ScoredRun


@pytest.fixture(autouse=True)
def in_place():
    """What is written does not depend on the process; test_export_job.py tries the worker."""
    with without_workers():
        yield


@pytest.fixture
def run(tmp_path):
    return text_run(tmp_path)


@pytest.fixture
def data(run):
    return ScoredRun(run.path)


def labels_of(path):
    samples = read_samples(path)
    return {sample_id: samples.class_names[label] for sample_id, label in zip(samples.ids, samples.given_labels,
                                                                             strict=True)}  # fmt: skip


def test_trimming_leaves_the_flagged_out(run, data, tmp_path):
    flagged = set(data.ids[data.order("loss")[:8]])
    trimmed = labels_of(export(run, "fixed", tmp_path / "trimmed", apply="trim"))
    assert set(trimmed) == set(data.ids) - flagged
    some = labels_of(export(run, "fixed", tmp_path / "some", apply="trim", trim_fraction=0.25))
    assert len(some) == 60


def test_suggestions_relabel_the_flagged_and_nothing_else(run, data, tmp_path):
    fixed = labels_of(export(run, "fixed", tmp_path / "fixed", apply="suggestions"))
    before = labels_of(tmp_path / "texts.csv")
    changed = {name for name in before if fixed[name] != before[name]}
    flagged = data.order("loss")[:8]
    assert changed == {data.ids[row] for row in flagged if data.suggestions[row] >= 0}
    assert len(changed) > 3
    assert all(fixed[name] == data.classes[data.suggestions[data.ids.row(name)]] for name in changed)


def test_what_people_decided_is_not_mixed_into_a_proposal(run, data, tmp_path):
    store = ReviewStore(run.review)
    last = str(data.ids[data.order("loss")[-1]])
    store.decide(Decision(last, "remove"))
    store.close()
    assert last in labels_of(export(run, "fixed", tmp_path / "trimmed", apply="trim"))
    assert last not in labels_of(export(run, "fixed", tmp_path / "decided"))


def test_a_table_marks_what_nobody_reviewed(run, tmp_path):
    with export(run, "csv", tmp_path / "table", apply="trim").open(newline="") as file:
        rows = list(csv.DictReader(file))
    trimmed = [row for row in rows if row["action"] == "exclude"]
    assert len(trimmed) == 8
    assert {(row["reviewer"], row["reviewed_at"]) for row in trimmed} == {(MACHINE, "")}
    assert {row["reviewer"] for row in rows if row["action"] != "exclude"} == {""}


def test_the_report_says_that_nobody_reviewed_it(run, tmp_path):
    assert "not reviewed" not in export(run, "report", tmp_path / "plain").read_text()
    page = export(run, "report", tmp_path / "trimmed", apply="trim").read_text()
    assert "What the machine proposes, not reviewed" in page
    assert "8 of 8 flagged samples left out" in page


def test_only_some_samples_are_exported(run, data, tmp_path):
    some = [str(data.ids[row]) for row in data.order("loss")[:3]]
    with export(run, "csv", tmp_path / "table", ids=some).open(newline="") as file:
        assert sorted(row["sample_id"] for row in csv.DictReader(file)) == sorted(some)
    trimmed = labels_of(export(run, "fixed", tmp_path / "fixed", apply="trim", ids=some[:2]))
    assert set(trimmed) == set(data.ids) - set(some[:2])


def test_the_command_and_the_notebook_do_it_too(run, data, tmp_path, capsys):
    out = tmp_path / "trimmed.csv"
    words = ["export", str(run.path), "--format", "fixed", "--apply", "trim", "--out", str(out), "--json"]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"written": str(out), "applied": "trim", "reviewed": False}
    same = open_run(run.path).export("fixed", tmp_path / "again.csv", apply="trim")
    assert same.read_bytes() == out.read_bytes()
    assert len(labels_of(out)) == 72


def test_images_move_to_the_folder_of_their_suggestion(tmp_path):
    run = image_run(tmp_path)
    data = ScoredRun(run.path)
    fixed = read_samples(export(run, "fixed", tmp_path / "fixed", apply="suggestions"))
    moved = set(fixed.ids) - set(data.ids)
    assert len(moved) == (data.suggestions[data.order("loss")[:12]] >= 0).sum() > 5


def test_another_choice_is_refused(run, tmp_path):
    with pytest.raises(OgaError, match="Unknown choice of what to apply 'everything'"):
        export(run, "fixed", tmp_path / "fixed", apply="everything")
