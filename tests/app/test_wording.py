"""No text on a page speaks of flags of the command line, or in words that a person need not know."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import oga_app
import oga_core
from oga_app import cli
from oga_app.elements import hints, messages
from oga_app.elements.wording import CONTROLS, page_words
from oga_app.views.guide import TOPICS
from oga_core.evaluation.verdicts import described
from oga_core.scores import SCORES

FLAG = re.compile(r"(?<![\w-])--(?!oga-)[a-z]")  # --oga-… are properties of styles
# These texts are for the command line alone, or no texts at all.
ELSEWHERE = ("cli.py", "commands/", "demo.py", "server/serving.py", "server/settings.py", "background/jobs.py")
ELSEWHERE += ("elements/wording.py", "notebook", "shards/", "remote/", "report_charts.py", "report_page.py")

# Options that say where a run is computed, or that a page has no need of.
ONLY_THERE = {"help", "json", "model-factory", "overwrite", "previous", "reference", "shard", "shards", "on", "workers"}
ONLY_THERE |= {"plan", "fetch-gb", "only-decisions"}


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the core and the pages that speaks of a flag, with where it stands; docstrings left out."""
    for root in (Path(oga_core.__file__).parent, Path(oga_app.__file__).parent):
        for name, text in literals(root):
            if FLAG.search(text) and not any(part in name for part in ELSEWHERE):
                yield name, text


def literals(root: Path) -> Iterator[tuple[str, str]]:
    """Every text in the Python files below a folder, docstrings left out, with its file."""
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and id(node) not in documented:
                yield path.relative_to(root).as_posix(), text


TEXTS = sorted(set(texts()))

# What pages call flagged, wrong and likely wrong. "bad" itself is a class of the samples' own.
PRIVATE = re.compile(r"log[- ]odds|\bbad (?:ones?|samples?|labels?)\b|detrimental", re.IGNORECASE)
COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)
LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`')
STYLE = re.compile(r"(?:^|[;\"`])[a-z-]+:\s*[^ ]|var\(")  # has properties of its own, which begin as flags do


def page_texts() -> Iterator[tuple[str, str]]:
    """Every text of the guide's pages and of the scripts, which a person reads as it stands, with its file."""
    for topic in TOPICS:
        yield f"{topic}.md", hints.text(topic)
    for path in (Path(oga_app.__file__).parent / "components").rglob("*.js"):
        for literal in LITERAL.findall(COMMENT.sub("", path.read_text(encoding="utf-8"))):
            if " " in literal and not STYLE.search(literal):
                yield path.name, literal


def test_the_guide_and_the_scripts_speak_plainly():
    shown = list(page_texts())
    assert len({name for name, _ in shown}) > 25
    assert [text for text in shown if FLAG.search(text[1]) or PRIVATE.search(text[1])] == []


def test_the_pages_and_what_they_say_of_scores_speak_plainly():
    named = [*literals(Path(oga_app.__file__).parent), *((name, described(name)) for name in SCORES)]
    assert [text for text in named if PRIVATE.search(text[1])] == []


def test_the_core_speaks_of_flags_in_many_places():
    assert len(TEXTS) > 25


@pytest.mark.parametrize(("name", "text"), TEXTS)
def test_each_becomes_the_name_of_a_control(name, text):
    assert not FLAG.search(page_words(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Choose another column with --id-column.", "Choose another column with “Id column”."),
        ("Give weights with --checkpoints FILE,FILE.", "Give weights with “Checkpoints”."),
        ("Choose --parameters head, or another.", "Choose “Parameters” head, or another."),
        ("It has no run.json. Make one with: oga score DATA --model MODEL --run /a.b/c.",
         "It has no run.json. Score a data set on the Run page."),
        ("A sample -- as written -- stays.", "A sample -- as written -- stays."),
    ],
)  # fmt: skip
def test_messages_keep_their_sense(text, words):
    assert page_words(text) == words


def test_every_option_of_scoring_has_a_control_or_words_of_its_own():
    with pytest.raises(SystemExit):
        cli.main(["score", "--help"])
    flags = set(re.findall(r"--([a-z-]+)", _help("score")))
    assert flags - CONTROLS.keys() == ONLY_THERE


def _help(command: str) -> str:
    parser = cli._parser()
    [commands] = [action for action in parser._actions if action.choices]
    return commands.choices[command].format_help()


def test_no_label_is_told_to_be_surely_wrong():
    told = [messages.chance(share) for share in (0.99, 0.999, 0.012, 0.004)]
    assert told == ["99\u00a0%", "over 99\u00a0%", "1\u00a0%", "under 1\u00a0%"]
