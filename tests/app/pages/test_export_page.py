"""The Export page: what to apply, with its count, within the filter."""

import numpy as np
import pytest
from page_words import problems, words

from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.review.decisions import UNSEEN
from oga_core.runs.scored import ScoredRun

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def data(digits):
    return ScoredRun(digits.path)


def written(test, path):
    test.text_input(key="export-path").set_value(str(path)).run()
    test.button(key="export-write").click().run()
    assert problems(test) == []
    return read_samples(next(path.parent.glob(f"{path.name}*")))


def test_each_choice_says_how_much_it_changes(visit, data, folder):
    flagged = data.order("loss")[:12]
    suggested = int((data.suggestions[flagged] >= 0).sum())
    test = visit("export", run="digits")
    choice = test.radio(key="export-apply-3")
    assert choice.options == ["My decisions: 0", f"The machine's suggestions: {suggested}", "Trim the flagged: 12"]
    assert "Nobody has reviewed it" not in words(test)
    choice.set_value("trim").run()
    assert "Nobody has reviewed it" in words(test)
    assert len(written(test, folder / "trimmed")) == 108


def test_suggestions_are_not_offered_where_there_are_none(visit, digits):
    table = digits.table
    digits.write_table(table.assign(predicted_label=table["given_label"]))
    choice = visit("export", run="digits").radio(key="export-apply-2")
    assert choice.options == ["My decisions: 0", "Trim the flagged: 12"]


def test_the_filter_holds_in_counts_and_in_what_is_written(visit, data, digits, folder):
    inside, outside = (np.flatnonzero(data.given == code) for code in (2, 3))
    store = ReviewStore(digits.review)
    store.decide([Decision(str(data.ids[row]), "remove") for row in (*inside[:3], *outside[:4])])
    store.close()
    test = visit("export", run="digits", filters='{"given":"2"}')
    assert test.radio(key="export-apply-3").options[0] == "My decisions: 3"
    assert ">3<" in words(test)
    assert f">{len(inside) - 3}<" in words(test)
    assert len(written(test, folder / "some")) == 117


def test_a_proposal_says_in_its_name_that_nobody_reviewed_it(visit, data):
    test = visit("export", run="digits")
    test.radio(key="export-apply-3").set_value("suggestions").run()
    test.button(key="export-make").click().run()
    assert problems(test) == []
    assert "digits_fixed_suggestions_not_reviewed.zip" in words(test)


def test_what_was_decided_together_is_said_to_be_so(visit, data, digits):
    together = [Decision(str(name), "remove", note=UNSEEN) for name in data.ids[:7]]
    store = ReviewStore(digits.review)
    store.decide([*together, Decision(str(data.ids[8]), "remove")])
    store.close()
    test = visit("export", run="digits")
    assert test.radio(key="export-apply-3").options[0] == "My decisions: 8"
    assert "7 of them were decided together. Nobody has looked at each." in words(test)
