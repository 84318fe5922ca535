"""Every number of a page is about the samples that pass the filter, and about no others."""

import base64
import json
import re

import numpy as np
import plotly
import pytest
from app_runs import image_run
from page_words import words

from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import WRONG_PROBABILITY, ScoredRun

pytestmark = pytest.mark.filterwarnings("ignore")

GIVEN = "3"


@pytest.fixture
def data(folder):
    return ScoredRun(image_run(folder).path)


@pytest.fixture
def filtered(data, visit):
    return lambda page: visit(page, run="digits", filters=f'{{"given":"{GIVEN}"}}', flagged="30")


@pytest.fixture
def passing(data):
    return data.given == data.classes.index(GIVEN)


@pytest.fixture
def flagged(data, passing):
    return passing & (data.rank("loss") < 30)


def test_the_figures_of_explore_count_what_passes(filtered, passing, flagged):
    shown = words(filtered("explore"))
    assert f">{flagged.sum()}<" in shown
    assert f"of {passing.sum()} in the filter" in shown
    assert f">{100 * flagged.sum() / passing.sum():.1f}\u00a0%<" in shown
    assert f"{passing.sum()} of 120 samples" in shown


def test_the_table_of_classes_counts_what_passes(filtered, passing, flagged):
    test = filtered("explore")
    assert not test.dataframe, "a table's script is the largest of all, and would hold up the map"
    test.segmented_control(key="explore-part").set_value("Classes").run()
    [shares] = [table.value for table in test.dataframe]
    assert shares[["class", "samples", "flagged"]].values.tolist() == [[GIVEN, passing.sum(), flagged.sum()]]


def test_the_matrix_counts_what_passes(filtered, data, passing, flagged):
    test = filtered("explore")
    test.segmented_control(key="explore-part").set_value("Confused pairs").run()
    assert test.dataframe[0].value.to_numpy().sum() == passing.sum()
    test.toggle(key="matrix-flagged").set_value(True).run()
    assert test.dataframe[0].value.loc[GIVEN].sum() == test.dataframe[0].value.to_numpy().sum() == flagged.sum()


def test_the_histogram_counts_what_passes(filtered, passing):
    test = filtered("explore")
    test.segmented_control(key="explore-part").set_value("Scores").run()
    [chart] = test.get("plotly_chart")
    figure = plotly.io.from_json(chart.proto.spec)
    counts = [np.frombuffer(base64.b64decode(bars.y["bdata"]), bars.y["dtype"]) for bars in figure.data]
    assert sum(part.sum() for part in counts) == passing.sum()


def test_the_map_and_the_grid_show_what_passes(filtered, passing):
    parts = {}
    for component in filtered("explore").get("bidi_component"):
        parts[component.proto.component_name] = json.loads(component.proto.json)
    assert parts["oga_gradient_map"]["selection"]
    assert parts["oga_gradient_map"]["count"] == 30
    assert parts["oga_sample_grid"]["total"] == passing.sum()


def test_what_is_expected_is_of_what_passes(visit, data, passing):
    table = data.table.assign(**{WRONG_PROBABILITY: np.where(data.rank("loss") < 80, 0.8, 0.3)})
    data.run.write_table(table)

    def below(**filters):
        shown = words(visit("explore", run="digits", flagged="80", **filters))
        return int(re.search(r"expected below</p><p[^>]*>([\d,]+)<", shown)[1])

    assert below(filters=f'{{"given":"{GIVEN}"}}') < passing.sum()
    assert below(filters=f'{{"given":"{GIVEN}"}}') < below()


def test_what_is_not_known_is_not_told_as_a_number(filtered):
    shown = words(filtered("explore"))
    assert "it is not known yet how many of the flagged are wrong" in shown
    assert "The ranges hold" not in shown


def test_before_a_verdict_the_page_says_what_its_ranges_rest_on(visit, data):
    data.run.write_table(data.table.assign(**{WRONG_PROBABILITY: np.where(data.rank("loss") < 80, 0.95, 0.05)}))
    shown = words(visit("explore", run="digits", flagged="80"))
    assert "The ranges were set on simulated problems and can miss" in shown
    assert "The ranges hold" not in shown
    ReviewStore(data.run.review).decide(Decision(data.ids[0], "keep", None, "me"))
    assert "From 1 verdict. The ranges hold" in words(visit("explore", run="digits", flagged="80"))


def test_of_nothing_flagged_nothing_is_expected(visit, data):
    data.run.write_table(data.table.assign(**{WRONG_PROBABILITY: np.linspace(0.6, 0.1, len(data))}))
    shown = words(visit("explore", run="digits", flagged="0"))
    assert "expected among the flagged" not in shown
    assert re.search(r"expected below</p><p[^>]*>[\d,]+<", shown)


def test_the_queue_holds_what_passes(filtered, flagged):
    test = filtered("review")
    test.segmented_control(key="review-mode").set_value("Grid by class").run()
    [box] = [box for box in test.selectbox if box.label == "Given label" and str(box.key).startswith("grid-class")]
    assert box.options == [f"{GIVEN} ({flagged.sum()} flagged)"]


def test_the_ends_of_a_range_are_told_apart_however_small_the_numbers(visit, data):
    run = RunFolder.open(data.path)
    run.write_table(run.table.assign(score_loss=run.table["score_loss"] * 1e-5))
    [field] = visit("explore", run="digits").slider
    assert field.proto.format % field.min != field.proto.format % (field.min + field.step)
