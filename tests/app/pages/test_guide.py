"""The user guide, as a page and behind question marks."""

import re
from pathlib import Path

import pytest
from page_words import problems

import oga_app
from oga_app.views import guide

pytestmark = pytest.mark.filterwarnings("ignore")

KEYS = (Path(oga_app.__file__).parent / "components" / "review" / "keys.js").read_text(encoding="utf-8")


def written(test):
    return "\n".join(block.value for block in test.markdown)


@pytest.mark.parametrize("topic", guide.TOPICS)
def test_each_page_shows_its_part_behind_a_question_mark(visit, digits, topic):
    test = visit(topic.lower(), run="digits")
    assert guide.text(topic).split("\n", 2)[2].strip() in written(test)


def test_the_guide_is_a_page_of_its_own(visit, digits):
    test = visit("help", run="digits")
    assert problems(test) == []
    assert "from data and a model to a result" in written(test)
    test.segmented_control(key="help-topic").set_value("Compare").run()
    assert "which score, did it help, what changed" in written(test)


def test_the_guide_names_the_keys_as_they_are():
    meanings = dict(re.findall(r'\["([^"]+)", "([^"]+)"[],]', KEYS))
    listed = re.findall(r"^\| (`.+) \| (.+) \|$", guide.text("Review"), re.MULTILINE)
    assert len(listed) >= 7
    for keys, meaning in listed:
        assert any(told == meaning and keys.split("`")[1].lower() in name.lower() for name, told in meanings.items())


@pytest.mark.parametrize("topic", guide.TOPICS)
def test_the_guide_speaks_of_controls_that_are_there(topic):
    root = Path(oga_app.__file__).parent
    sources = [*root.rglob("*.py"), *root.rglob("*.js")]
    program = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    named = re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", guide.text(topic))
    assert [name for name in named if " ".join(name.split()) not in program] == []
