"""Runs that are begun from earlier ones, renamed and deleted, on the Run page."""

import json
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from app_runs import image_run
from page_words import problems, words
from sklearn.linear_model import LogisticRegression

import oga_sample_data
from oga_app.background import folders, jobs
from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]

SAMPLES = Path(oga_sample_data.__path__[0])


@pytest.fixture
def started(monkeypatch):
    """What would be started: the scoring itself takes a model and a minute."""
    calls = []
    monkeypatch.setattr(jobs, "start", lambda *given, **more: calls.append((*given, more)))
    return calls


def failed_run(folder: Path) -> RunFolder:
    (folder / "films.csv").write_text("key,n,mood\n1,1,a\n2,2,b\n")
    fitted = LogisticRegression().fit(pd.DataFrame({"n": [1.0, 2.0]}), ["a", "b"])
    skops.io.dump(fitted, folder / "model.skops")
    run = RunFolder.create(folder / "failed")
    options = {
        "label_column": "mood",
        "seed": 7,
        "precision": "tf32",
        "scores": ["loss"],
        "map": "pca",
        "an_option_of_later": 1,
    }
    data, model = {"path": str(folder / "films.csv")}, {"path": str(folder / "model.skops")}
    run.update(status="failed", error="No text column.", options=options, data=data, model=model)
    return run


def test_a_failed_run_is_edited_and_tried_again(folder, visit, started):
    failed_run(folder)
    test = visit("run", run="failed")
    assert "Scoring failed. No text column." in words(test)
    test.button(key="duplicate").click().run()
    shown = words(test)
    assert "Filled in from failed." in shown
    assert shown.count("kept from failed") == 2
    assert "films.csv" in shown
    assert "model.skops" in shown
    assert test.selectbox(key="column-label").value == "mood"
    assert test.number_input(key="option-seed").value == 7
    assert test.selectbox(key="option-precision").value == "tf32"
    test.selectbox(key="option-precision").set_value("float32")
    test.selectbox(key="column-id").set_value("key").run()
    assert len(problems(test)) == 1  # of the failed run itself
    test.button(key="start-run").click().run()
    [(data, model, run, options, more)] = started
    assert (data, model) == (folder / "films.csv", folder / "model.skops")
    assert (options.label_column, options.id_column, options.seed, options.map) == ("mood", "key", 7, "pca")
    assert (options.precision, options.scores) == ("float32", ("loss",))
    assert run.name != "failed"
    assert more == {"previous": None}


def test_a_run_is_scored_again_after_fixing(folder, visit, started, digits):
    classes = [str(i) for i in range(5)]
    (folder / "card.json").write_text(json.dumps({"modality": "image", "classes": classes, "input": {}}))
    (folder / "net.pt2").write_bytes((SAMPLES / "digits.pt2").read_bytes())
    (folder / "fixed.zip").write_bytes((folder / "digits.zip").read_bytes())
    options = {"map": "pca", "parameters": "last:2", "model_card": str(folder / "card.json")}
    digits.update(model={"path": str(folder / "net.pt2")}, options=options)
    test = visit("run", run="digits")
    test.button(key="again").click().run()
    assert "Decisions on samples that are still the same are carried over." in words(test)
    test.text_area(key="paths").set_value(str(folder / "fixed.zip")).run()
    assert problems(test) == []
    test.button(key="start-run").click().run()
    [(data, model, _, options, more)] = started
    assert (data.name, model.name) == ("fixed.zip", "net.pt2")
    assert (options.map, options.parameters) == ("pca", "last:2")
    assert more == {"previous": digits.path}


def test_fixed_labels_alone_are_the_labels_of_the_images_that_stay(folder, visit, digits):
    rows = [f"{name},{name[0]}" for name in ScoredRun(digits.path).ids]
    (folder / "fixed.csv").write_text("\n".join(["file_name,label", *rows]))
    test = visit("run", run="digits")
    test.button(key="again").click().run()
    test.text_area(key="paths").set_value(str(folder / "fixed.csv")).run()
    assert test.selectbox(key=f"role-{folder / 'fixed.csv'}").value == "labels"
    assert test.selectbox(key="role-kept-data").value == "data"


def test_the_form_is_emptied_again(folder, visit):
    failed_run(folder)
    test = visit("run", run="failed")
    test.button(key="duplicate").click().run()
    test.button(key="begin-empty").click().run()
    assert "kept from" not in words(test)
    assert "start-run" not in [button.key for button in test.button]


def test_a_run_is_renamed_and_deleted_on_the_page(visit, digits):
    store = ReviewStore(digits.review)
    store.decide(Decision("0/0000.png", "keep"))
    store.close()
    test = visit("run", run="digits")
    test.text_input(key="rename-digits").set_value("numbers").run()
    test.button(key="rename").click().run()
    assert test.query_params["run"] == "numbers"
    assert not digits.path.exists()
    assert test.button(key="delete").label == "Delete numbers and 1 decision"
    test.button(key="delete").click().run()
    assert problems(test) == []
    assert not digits.path.with_name("numbers").exists()
    assert "run" not in test.query_params


def test_what_became_of_carried_decisions_is_told(visit, digits):
    digits.update(previous="/runs/first", carried={"carried": 12, "applied": 3, "stale": {"the sample is gone": 2}})
    shown = words(visit("run", run="digits"))
    assert "From first: 12 decisions carried over, 3 of the earlier ones done in the data" in shown
    assert "Not carried over: 2 because the sample is gone." in shown


def test_names_that_cannot_be_folders_are_refused(folder):
    run = image_run(folder)
    image_run(folder, "other")
    for name, reason in (("../up", "cannot be a folder"), ("", "cannot be a folder"), ("other", "already")):
        with pytest.raises(OgaError, match=reason):
            folders.rename(run.path, name)
    assert run.path.exists()


def test_disk_and_uploads_go_with_the_run(folder):
    run = image_run(folder)
    before = folders.size(run.path)
    (run.path / "uploads").mkdir()
    (run.path / "uploads" / "data.zip").write_bytes(b"x" * 1000)
    assert folders.size(run.path) == before + 1000
    folders.delete(run.path)
    assert not run.path.exists()
    with pytest.raises(OgaError, match="is not a run"):
        folders.delete(folder)


def test_options_of_an_earlier_run_stand_where_none_are_chosen():
    earlier = {"label_column": "mood", "seed": 3, "scores": ["loss"], "labels": "/old/labels.csv", "map": "pca"}
    chosen = ScoreOptions(seed=5).after(json.loads(json.dumps(earlier)))
    assert (chosen.label_column, chosen.seed, chosen.scores, chosen.map) == ("mood", 5, ("loss",), "pca")
    assert chosen.labels is None


def test_an_upload_of_another_run_is_taken_along(folder):
    run = image_run(folder)
    (run.path / "uploads" / "data").mkdir(parents=True)
    upload = run.path / "uploads" / "data" / "data.csv"
    upload.write_text("a")
    taken = jobs._taken(upload, folder / "next", "data")
    assert taken == folder / "next" / "uploads" / "data" / "data.csv"
    folders.delete(run.path)
    assert taken.read_text() == "a"
    outside = folder / "digits.zip"
    assert jobs._taken(outside, folder / "next", "data") == outside
