"""What stands around every page: the names in the header, and the tour on a sample data set."""

import json

import pytest
from app_runs import image_run
from page_words import problems, words

from oga_app.background.samples import SAMPLE_DATA, SAMPLES, is_sample
from oga_app.views.frame.tour import STEPS
from oga_app.views.guide import TOPICS

pytestmark = pytest.mark.filterwarnings("ignore")

TOUR = [topic for topic in TOPICS if topic != "Ask"]
"""The pages that every run has."""


@pytest.fixture
def sample(digits):
    """A run that says it is of a sample data set."""
    digits.update(data={**digits.info.as_json()["data"], "path": str(SAMPLE_DATA / "digits.zip")})
    return digits


def buttons(test):
    return {button.key: button.label for button in test.button if button.key and button.key.startswith("tour-")}


@pytest.mark.parametrize("page", ["run", "help"])
def test_product_and_run_stand_in_the_header(visit, folder, page):
    image_run(folder, "a <b> & c")
    assert '<p class="oga-brand">OGA <b dir="auto" title="a &lt;b&gt; &amp; c">a &lt;b&gt; &amp; c</b></p>' in words(
        visit(page, run="a <b> & c")
    )
    assert '<p class="oga-brand">OGA </p>' in words(visit(page))


def test_the_tour_leads_through_the_five_pages():
    assert [step.page for step in STEPS] == TOUR


@pytest.mark.parametrize(("number", "page"), enumerate(TOUR))
def test_each_page_of_a_sample_has_its_step(visit, sample, number, page):
    test = visit(page.lower(), run="digits")
    assert problems(test) == []
    assert f"Tour, {number + 1} of 5" in words(test)
    names = buttons(test)
    assert ("tour-back" in names) == (number > 0)
    assert names.get("tour-next") == (f"Next: {TOUR[number + 1]}" if number < 4 else None)


def test_the_tour_is_for_samples_only(visit, digits):
    assert not is_sample(digits.path)
    assert buttons(visit("run", run="digits")) == buttons(visit("run")) == {}


def test_somebody_new_is_invited_and_led_on(visit, sample):
    test = visit("run")
    assert "New here?" in words(test)
    test.button(key="tour-begin").click().run()
    assert test.query_params["run"] == "digits"
    assert "Tour, 1 of 5" in words(test)
    test.button(key="tour-next").click().run()
    assert problems(test) == []


def test_who_ended_the_tour_does_not_see_it_again(visit, folder, sample):
    test = visit("explore", run="digits")
    test.button(key="tour-end").click().run()
    assert buttons(test) == buttons(visit("explore", run="digits")) == buttons(visit("run")) == {}
    assert json.loads((folder / ".tour.json").read_text()) == {"ended": ["me"]}
    test = visit("help")
    test.button(key="tour-again").click().run()
    assert "Tour, 1 of 5" in words(visit("run", run="digits"))


@pytest.mark.parametrize("content", ["", "[1]", '{"ended": 3}', '{"ended": [null]}'])
def test_a_damaged_note_of_who_ended_it_is_nobody(visit, folder, sample, content):
    (folder / ".tour.json").write_text(content)
    assert "tour-next" in buttons(visit("run", run="digits"))


def test_an_empty_folder_offers_the_samples(visit, folder, monkeypatch):
    started = []
    monkeypatch.setattr("oga_app.background.jobs.start", lambda *given: started.append(given))
    test = visit("run")
    for each in SAMPLES:
        assert f"Try {each.name}" in [button.label for button in test.button]
    test.button(key="try-tumours.csv").click().run()
    [(data, model, run, options)] = started
    assert (data.name, model.name, run.name) == ("tumours.csv", "tumours.pt2", "tumours (tabular)")
    assert options.label_column == "diagnosis"
