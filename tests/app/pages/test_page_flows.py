"""The pages through Streamlit's AppTest: what a person does and what then is on the page and on disk."""

import json
import re

import numpy as np
import pytest
from app_runs import ODD_CLASSES, image_run, language_run, table_run, text_run
from page_words import problems, words

from oga_app.server.accounts import set_password
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.threshold.expectation import Expectation

PAGES = ("run", "explore", "review", "compare", "export")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("make", [image_run, text_run, table_run, language_run])
def test_every_page_draws_every_kind_of_run(shown, visit, make, page):
    run = shown(make)
    test = visit(page, run=run.path.name)
    assert not test.exception
    assert problems(test) == []
    assert run.path.name in words(test)
    assert not re.search(r"(^|[\s(])--[a-z]", words(test))


def test_before_a_verdict_no_figure_stands_where_nothing_was_estimated(folder, visit):
    run = language_run(folder)
    shown = words(visit("explore", run="prompts"))
    assert "without an estimate of the noise, it is not known yet how many of the flagged are wrong" in shown
    assert ("The ranges hold" in shown, "expected" in shown) == (False, False)
    ReviewStore(run.review).decide(Decision("p001", "remove", None, "me"))
    assert "From 1 verdict and an assumed rate of 10" in words(visit("explore", run="prompts"))


def test_a_verdict_alone_is_not_learnt_from_at_once(folder, visit, monkeypatch):
    run = language_run(folder)
    lessons = []
    learn = Expectation.__init__
    monkeypatch.setattr(Expectation, "__init__", lambda *a, **b: (lessons.append(1), learn(*a, **b))[1])
    for row in range(4):
        ReviewStore(run.review).decide(Decision(f"p00{row}", "remove", None, "me"))
        visit("review", run="prompts")
    assert sum(lessons) == 1


@pytest.mark.parametrize("page", PAGES)
def test_odd_class_names_break_nothing(shown, visit, page):
    shown(image_run, "odd", ODD_CLASSES)
    test = visit(page, run="odd")
    assert not test.exception
    assert problems(test) == []


@pytest.mark.parametrize("page", PAGES[1:])
def test_pages_without_a_run_say_where_to_go(visit, page):
    test = visit(page)
    assert "No run is open" in words(test)
    assert problems(test) == []


def test_runs_are_listed_and_opened(visit, digits):
    test = visit("run")
    assert "digits" in words(test)
    test.button(key="open-digits").click().run()
    assert test.query_params["run"] == "digits"
    assert "Accuracy on given labels" in words(test)


def test_the_threshold_is_in_the_address_and_moves_everything(visit, digits):
    test = visit("explore", run="digits")
    assert "12 flagged (10.0 %)" in words(test)
    test.number_input[0].set_value(30).run()
    assert "30 flagged (25.0 %)" in words(test)
    assert test.query_params["flagged"] == "30"
    again = visit("review", run="digits", flagged="30")
    assert "30 flagged (25.0 %)" in words(again)


def test_another_score_sorts_every_page(visit, digits):
    test = visit("explore", run="digits")
    test.selectbox(key="score-digits").set_value("l2_norm").run()
    assert test.query_params["score"] == "l2_norm"
    assert visit("review", run="digits", score="l2_norm").selectbox(key="score-digits").value == "l2_norm"


def test_filters_become_chips_that_can_be_removed(visit, digits):
    test = visit("explore", run="digits")
    test.selectbox(key="filter-given").set_value("3").run()
    test.selectbox(key="filter-decision").set_value("undecided").run()
    labels = [button.label for button in test.button if button.key and button.key.startswith("chip-")]
    assert labels == [r"given\: 3", r"decision\: undecided", "Clear all"]
    count = int((RunFolder.open(digits.path).table["given_label"] == "3").sum())
    assert f"{count} of 120 samples" in words(test)
    test.button(key="chip-given").click().run()
    assert json.loads(test.query_params["filters"]) == {"decision": "undecided"}
    test.button(key="chip-decision").click().run()
    assert "filters" not in test.query_params


def test_views_are_kept_by_name(visit, digits):
    test = visit("explore", run="digits", filters='{"given":"2"}', flagged="7")
    test.text_input(key="view-name").set_value("my *view*")
    test.button(key="save-view").click().run()
    assert json.loads((digits.path / "views.json").read_text())["my *view*"]["flagged"] == 7
    fresh = visit("explore", run="digits")
    fresh.button(key="view-my *view*").click().run()
    assert fresh.query_params["filters"] == '{"given":"2"}'
    assert fresh.query_params["flagged"] == "7"


def test_a_damaged_address_opens_without_it(visit, digits):
    test = visit("explore", run="digits", filters="{", flagged="many", score="magic")
    assert "filter in the address cannot be read" in words(test)
    assert "12 flagged" in words(test)
    assert "There is no run" in words(visit("explore", run="../../etc"))


def test_a_sample_is_decided_in_its_dialog_and_undone(visit, digits):
    test = visit("explore", run="digits")
    name = str(RunFolder.open(digits.path).table["sample_id"][5])
    test.session_state["oga_session"].opened = name
    test.run()
    assert name in words(test)
    test.button(key="detail-remove").click().run()
    store = ReviewStore(digits.review)
    assert store.decision(name).action == "remove"
    history = visit("review", run="digits")
    history.segmented_control(key="review-mode").set_value("History").run()
    history.button(key="history-undo").click().run()
    assert store.decision(name) is None
    history.button(key="history-redo").click().run()
    assert store.decision(name).action == "remove"
    store.close()


def test_a_label_is_changed_in_the_dialog(visit, digits):
    test = visit("explore", run="digits")
    name = str(RunFolder.open(digits.path).table["sample_id"][5])
    test.session_state["oga_session"].opened = name
    test.run()
    test.selectbox(key="detail-label").set_value("4").run()
    test.button(key="detail-relabel").click().run()
    store = ReviewStore(digits.review)
    assert store.decision(name).new_label == "4"
    store.close()


def test_reviewers_disagree_and_settle(visit, digits):
    name = str(RunFolder.open(digits.path).table["sample_id"][0])
    store = ReviewStore(digits.review)
    store.decide(Decision(name, "keep", reviewer="ann"))
    store.decide(Decision(name, "remove", reviewer="bob"))
    test = visit("review", "--reviewer", "chief", run="digits")
    test.segmented_control(key="review-mode").set_value("Reviewers").run()
    assert "ann: 1, bob: 1" in words(test)
    test.button(key="settle-ann").click().run()
    assert store.disagreements() == {}
    decision = store.decision(name)
    assert (decision.action, decision.reviewer) == ("keep", "chief")
    store.close()


def test_before_a_verdict_no_empty_column_stands_in_compare(visit, digits):
    assert not {"precision", "verdicts", "interval"} & set(visit("compare", run="digits").dataframe[0].value)


def test_compare_shows_precision_on_the_verdicts(visit, digits):
    table = RunFolder.open(digits.path).table
    top = table["sample_id"][np.argsort(-table["score_loss"].to_numpy())[:4]]
    store = ReviewStore(digits.review)
    store.decide([Decision(str(name), "remove") for name in top[:3]])
    store.decide(Decision(str(top.iloc[3]), "keep"))
    store.close()
    test = visit("compare", run="digits")
    shown = test.dataframe[0].value.set_index("score")
    assert shown.loc["loss", ["precision", "verdicts", "interval"]].tolist() == [75.0, "3 of 4", "36 to 94 %"]
    assert shown.loc["loss", "about"].startswith("Cross-entropy")
    assert shown.loc["l2 norm", "family"] == "outlier"
    assert "Most verdicts come from the queue of the score you sort by" in words(test)


def test_the_scores_in_the_charts_follow_the_family(visit, digits):
    test = visit("compare", run="digits")
    assert test.multiselect[0].value == ["loss", "l2_norm"]
    test.selectbox(key="compare-group-digits").set_value("outlier").run()
    assert test.multiselect[0].value == ["l2_norm"]
    assert "Choose two scores or more" in words(test)
    test.selectbox(key="compare-group-digits").set_value("All").run()
    assert test.multiselect[0].value == ["loss", "l2_norm"]


def test_both_scores_that_disagree_are_the_persons_choice(visit, digits):
    test = visit("compare", run="digits")
    test.segmented_control(key="compare-part").set_value("Disagreement").run()
    assert "High by loss, low by l2 norm" in words(test)
    one, other = test.selectbox(key="compare-Compare-digits-loss"), test.selectbox(key="compare-With-digits-loss")
    one.set_value("l2_norm")
    other.set_value("loss").run()
    assert words(test).index("High by l2 norm, low by loss") < words(test).index("High by loss, low by l2 norm")
    assert "Cross-entropy" in words(test)
    test.selectbox(key="compare-With-digits-loss").set_value("l2_norm").run()
    assert "Choose two different scores" in words(test)
    assert problems(test) == []


def test_unfinished_runs_say_what_happened(folder, visit):
    failed = RunFolder.create(folder / "failed")
    failed.update(status="failed", error="The model card names no class. Add 'classes'.")
    assert "could not be scored: The model card names no class" in words(visit("explore", run="failed"))
    assert "Scoring failed. The model card names no class" in words(visit("run", run="failed"))
    RunFolder.create(folder / "gone").update(status="running", process=2**22 - 1)
    assert "The process that scored this run is gone" in words(visit("run", run="gone"))
    damaged = folder / "damaged"
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    assert "run.json is damaged" in words(visit("run"))
    assert "is damaged" in words(visit("explore", run="damaged"))


@pytest.mark.parametrize("make", [image_run, text_run, language_run])
@pytest.mark.parametrize(
    ("page", "control", "part"),
    [
        ("explore", "explore-part", "Scores"),
        ("explore", "explore-list", "Random"),
        ("review", "review-mode", "Grid by class"),
        ("compare", "compare-part", "Disagreement"),
        ("compare", "compare-part", "Retrain"),
        ("compare", "compare-part", "Another run"),
    ],
)
def test_every_part_of_a_page_draws(shown, visit, make, page, control, part):
    run = shown(make)
    test = visit(page, run=run.path.name)
    test.segmented_control(key=control).set_value(part).run()
    assert not test.exception
    assert problems(test) == []


def test_missing_data_leaves_the_rest_working(visit, digits):
    (digits.path.parent / "digits.zip").unlink()
    test = visit("explore", run="digits")
    assert problems(test) == []
    assert "12 flagged" in words(test)


def test_a_run_without_a_map(visit, digits):
    table = RunFolder.open(digits.path).table.drop(columns=["map_x", "map_y"])
    digits.write_table(table)
    test = visit("explore", run="digits")
    assert "This run has no map" in words(test)
    assert problems(test) == []


def test_a_wrong_path_is_named_on_the_page(visit):
    test = visit("run")
    test.text_area(key="paths").set_value("/no/such/file.csv").run()
    assert "does not exist" in words(test)
    assert "start-run" not in [button.key for button in test.button]


def test_data_is_looked_at_before_it_is_scored(visit, digits):
    test = visit("run")
    test.text_area(key="paths").set_value(str(digits.path.parent / "digits.zip")).run()
    assert "120 images, 5 classes" in words(test)


def test_a_shared_dashboard_without_its_guard_shows_nothing(digits, visit, tmp_path):
    accounts = tmp_path / "accounts.json"
    set_password(accounts, "Ada", "correct horse")
    test = visit("review", "--run", str(digits.path), "--accounts", str(accounts))
    assert digits.path.name not in words(test)
    assert "started without its guard" in "".join(problems(test))
