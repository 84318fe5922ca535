"""What stands in the way of a start is said before it, beside the control that mends it."""

import contextlib
import json
import shutil
import threading
import time
from pathlib import Path

import psutil
import pytest
from page_words import problems, words

import oga_sample_data
from oga_app.background import jobs
from oga_core.previews import reader
from oga_core.worker import supervisor

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("read_here")]

SAMPLES = Path(oga_sample_data.__path__[0])
CLASSES = ["billing", "delivery", "returns", "technical"]


@pytest.fixture
def started(monkeypatch):
    """What would be started: the scoring itself takes a minute."""
    calls = []
    monkeypatch.setattr(jobs, "start", lambda *given, **more: calls.append((*given, more)))
    return calls


@pytest.fixture
def form(visit, folder):
    """The page with a table of texts, the model that sorts messages, and more files where there are any."""

    def fill(header: str, labels: list[str], **more: dict[str, object]):
        rows = [f"{i},film number {i},{label}" for i, label in enumerate(labels)]
        (folder / "films.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
        paths = [folder / "films.csv", SAMPLES / "messages"]
        for name, content in more.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
            paths.append(folder / f"{name}.json")
        return visit("run").text_area(key="paths").set_value("\n".join(map(str, paths))).run()

    return fill


def roles(test):
    boxes = [box for box in test.selectbox if box.label.startswith("What ")]
    return {box.label.split()[1].replace("\\", ""): box.value for box in boxes}


def test_sound_data_can_be_started(form, started):
    test = form("id,text,label", ["returns", "billing"] * 10)
    assert problems(test) == []
    assert roles(test) == {"films.csv": "data", "messages": "model"}
    assert "20 texts, 2 classes" in words(test)
    assert "in the order of the model" in words(test)
    assert '<i>2</i> <span dir="auto">returns</span> <b>10</b>' in words(test)
    assert "Hugging Face model: text, 4 classes" in words(test)
    test.button(key="start-run").click().run()
    assert [(data.name, model.name) for data, model, *_ in started] == [("films.csv", "messages")]


def test_a_trial_tells_time_and_memory_before_the_start(form, monkeypatch):
    order = {"name": "label_order", "level": "failure", "message": "The classes are in another order."}
    measured = {"n_samples": 20, "n_tried": 20, "n_features": 8, "n_outputs": 4, "sketch_dim": 32, "target": "class"}
    measured |= {"first_seconds": 120.0, "sample_seconds": 0.1, "reading_seconds": 1.0, "probe_seconds": 0.01}
    measured |= {"memory_mb": 512.0, "batch_mb": 0.0, "bytes_a_sample": 100.0, "device": "cpu"}
    result = {**measured, "checks": [order], "notes": ["Of 2 outputs one is taken."]}
    monkeypatch.setattr("oga_app.cache.try_some", lambda request: result)
    test = form("id,text,label", ["returns", "billing"] * 10)
    assert "gradients" not in words(test)
    test.button(key="try-some").click().run()
    assert "gradients 80 s to 3 min" in words(test)
    assert "512 MB" in words(test)
    assert "Of 2 outputs one is taken." in words(test)
    assert "another order" in "".join(problems(test))


def test_one_class_is_not_started(form):
    test = form("id,text,label", ["billing"] * 20)
    assert "Every sample has the label &#x27;billing&#x27;" in "".join(problems(test))
    assert test.button(key="start-run").disabled


def test_a_table_without_a_known_label_column_asks_for_it(form):
    test = form("id,text,mood", ["returns", "billing"] * 10)
    assert test.button(key="start-run").disabled
    assert "Label column" in "".join(problems(test))
    assert test.selectbox(key="column-label").options == ["id", "text", "mood"]
    test.selectbox(key="column-label").set_value("text").run()
    assert "20 label(s) that the model does not know" in "".join(problems(test))
    test.selectbox(key="column-label").set_value("mood").run()
    assert problems(test) == []
    assert not test.button(key="start-run").disabled


def test_labels_that_the_model_does_not_know_are_named(form):
    test = form("id,text,label", ["billing", "odd"] * 10)
    assert "does not know: &#x27;odd&#x27;" in "".join(problems(test))
    assert test.button(key="start-run").disabled


def test_a_card_that_is_given_wins_over_the_model(form, started):
    card = {"modality": "text", "classes": ["odd", *CLASSES[1:]], "input": {"max_length": 8}}
    test = form("id,text,label", ["returns", "odd"] * 10, mine=card)
    assert roles(test)["mine.json"] == "card"
    assert problems(test) == []
    test.button(key="start-run").click().run()
    [(*_, options, _)] = started
    assert options.model_card.endswith("mine.json")


def test_labels_of_their_own_for_nearly_every_sample_are_no_classes(visit, folder):
    (folder / "films.csv").write_text("text,label\n" + "".join(f"a,label {i}\n" for i in range(30)))
    test = visit("run").text_area(key="paths").set_value(str(folder / "films.csv")).run()
    assert "30 different labels for 30 samples" in "".join(problems(test))


def test_without_a_model_the_page_says_what_is_missing(visit):
    test = visit("run").text_area(key="paths").set_value(str(SAMPLES / "messages.csv")).run()
    assert "taken for the model" in "".join(problems(test))
    assert test.button(key="start-run").disabled


def test_a_role_is_corrected_beside_the_file(form, folder, started):
    (folder / "other.csv").write_text("id,text,label\n" + "".join(f"{i},a,billing\n" for i in range(3)))
    test = form("id,text,label", ["returns", "billing"] * 10)
    paths = test.text_area(key="paths").value
    test.text_area(key="paths").set_value(f"{paths}\n{folder / 'other.csv'}").run()
    assert roles(test)["other.csv"] == "unused"
    assert "other.csv has no place beside films.csv" in words(test)
    test.selectbox(key=f"role-{folder / 'other.csv'}").set_value("validation").run()
    assert "has no place" not in words(test)
    test.button(key="start-run").click().run()
    [(*_, options, _)] = started
    assert options.validation == str(folder / "other.csv")


def test_weights_without_a_card_wait_for_one(visit, folder, started):
    (folder / "weights.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    paths = f"{SAMPLES / 'messages.csv'}\n{folder / 'weights.safetensors'}"
    test = visit("run").text_area(key="paths").set_value(paths).run()
    assert "weights.safetensors brings no model card" in "".join(problems(test))
    assert test.button(key="start-run").disabled
    test.selectbox(key="card-modality").set_value("text").run()
    test.text_area(key="card-classes").set_value("\n".join(CLASSES)).run()
    test.text_input(key="card-output").set_value("1").run()
    assert problems(test) == []
    test.button(key="start-run").click().run()
    [(*_, options, _)] = started
    assert json.loads(Path(options.model_card).read_text())["output"] == 1, "a position, and no name"


def test_names_of_files_and_labels_are_shown_as_they_are(visit, folder):
    name, label = "a_b *c* <b>.csv", "عنب <i>" + "long " * 12
    (folder / name).write_text("text,label\n" + "".join(f"a,{label}\nb,x\n" for _ in range(9)), encoding="utf-8")
    test = visit("run").text_area(key="paths").set_value(str(folder / name)).run()
    assert "a_b *c* &lt;b&gt;.csv" in words(test)
    assert '<span dir="auto">عنب &lt;i&gt;long' in words(test)


@pytest.fixture
def pairs(visit, folder):
    """The page with preference pairs and the folders of models with these names, which are no adapters."""
    rows = [{"prompt": f"number {i} ", "chosen": "yes", "rejected": "no"} for i in range(20)]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}

    def fill(*names: str):
        for name in names:
            (folder / name).mkdir()
            (folder / name / "config.json").write_text(json.dumps(config))
            (folder / name / "model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
        paths = [folder / "pairs.jsonl", *(folder / name for name in names)]
        return visit("run").text_area(key="paths").set_value("\n".join(map(str, paths))).run()

    return fill


def test_pairs_of_a_whole_model_wait_for_its_reference(pairs):
    test = pairs("tuned")
    assert "tuned is no adapter that could be switched off" in "".join(problems(test))
    assert test.button(key="start-run").disabled
    assert "reference model" in test.get("file_uploader")[0].label


def test_a_model_that_says_so_is_the_reference_and_goes_with_the_run(pairs, folder, started):
    test = pairs("tuned", "base")
    assert roles(test) == {"pairs.jsonl": "data", "tuned": "model", "base": "reference"}
    assert problems(test) == []
    test.button(key="start-run").click().run()
    [(_, model, _, options, _)] = started
    assert (model, options.reference) == (folder / "tuned", str(folder / "base"))


def test_of_pairs_no_label_is_asked_for(pairs):
    test = pairs("tuned", "base")
    assert [box.label for box in test.selectbox if box.label.endswith("column")] == ["Id column"]
    test.selectbox(key="modality").set_value("tabular").run()
    assert test.selectbox(key="column-label").placeholder == "choose one"


def test_of_rows_for_a_language_model_no_label_is_asked_for(visit, folder):
    (folder / "rows.jsonl").write_text('{"prompt": "say", "completion": "yes"}\n' * 20)
    test = visit("run").text_area(key="paths").set_value(str(folder / "rows.jsonl")).run()
    assert test.selectbox(key="column-label").placeholder == "none"


def test_a_reference_of_other_data_is_no_use(form, folder, started):
    test = form("id,text,label", ["returns", "billing"] * 10)
    shutil.copytree(SAMPLES / "messages", folder / "base")
    test.text_area(key="paths").set_value(f"{test.text_area(key='paths').value}\n{folder / 'base'}").run()
    assert roles(test)["base"] == "unused"
    test.selectbox(key=f"role-{folder / 'base'}").set_value("reference").run()
    assert "only preference pairs are measured against" in "".join(problems(test))
    assert test.button(key="start-run").disabled


def test_uploaded_labels_and_checkpoints_go_with_the_run(folder):
    uploads = folder / ".uploads" / "one"
    uploads.mkdir(parents=True)
    for name in ("labels.csv", "a.pt", "b.pt", "base.zip"):
        (uploads / name).write_text(name)
    checkpoints = tuple(str(uploads / name) for name in ("a.pt", "b.pt"))
    options = jobs.ScoreOptions(
        labels=str(uploads / "labels.csv"), checkpoints=checkpoints, reference=str(uploads / "base.zip")
    )
    taken = jobs._with_files_taken(options, folder / "run")
    shutil.rmtree(uploads)
    files = (taken.labels, *taken.checkpoints, taken.reference)
    assert [Path(path).read_text() for path in files] == ["labels.csv", "a.pt", "b.pt", "base.zip"]


def test_the_one_column_that_the_model_does_not_read_holds_the_labels(visit):
    paths = (SAMPLES / "tumours.csv", SAMPLES / "tumours.pt2")
    test = visit("run").text_area(key="paths").set_value("\n".join(map(str, paths))).run()
    assert test.selectbox(key="column-label").value == "diagnosis"
    assert problems(test) == []
    assert not test.button(key="start-run").disabled


def test_a_look_that_is_killed_says_so_and_is_done_again(form, monkeypatch):
    monkeypatch.setattr(reader, "run_job", supervisor.run_job)
    looking = threading.Event()

    def kill() -> None:
        while not looking.is_set():
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    if "oga_core.worker.child" in child.cmdline():
                        child.kill()
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    test = form("id,text,label", ["returns", "billing"] * 10)
    looking.set()
    killer.join()
    assert "killed the worker" in words(test)
    again = [button for button in test.button if button.label == "Look again"]
    assert again
    while again:
        test = again[0].click().run()
        again = [button for button in test.button if button.label == "Look again"]
    assert roles(test) == {"films.csv": "data", "messages": "model"}
