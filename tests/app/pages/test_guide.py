"""The user guide, as a page and behind question marks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from here import score_here
from page_words import problems

import oga_app
import oga_sample_data
from oga_app.elements import hints
from oga_app.views import guide
from oga_core.pipeline.options import ScoreOptions

pytestmark = pytest.mark.filterwarnings("ignore")

KEYS = (Path(oga_app.__file__).parent / "components" / "review" / "keys.js").read_text(encoding="utf-8")


def written(test):
    return "\n".join(block.value for block in test.markdown)


@pytest.mark.parametrize("topic", guide.TOPICS)
def test_each_page_shows_its_part_behind_a_question_mark(visit, digits, topic):
    test = visit(topic.lower(), run="digits")
    assert hints.below_title(topic).split("\n", 2)[2].strip() in written(test)


def asked_for() -> set[tuple[str, str]]:
    """Every block that a page has a question mark for."""
    sources = (Path(oga_app.__file__).parent / "views").rglob("*.py")
    program = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    return set(re.findall(r'hints\.(?:hint|section)\(\s*"(\w+)",\s*"([^"]+)"', program))


def test_each_block_of_the_guide_stands_beside_its_block_of_a_page():
    assert asked_for() == {(topic, block) for topic in guide.TOPICS for block in hints.blocks(topic)}


def test_a_block_shows_its_own_part_and_no_other(visit, digits):
    shown = written(visit("explore", run="digits"))
    for block in ("Map", "Histogram", "Threshold", "Filter", "Samples"):
        assert f"**{block}**\n\n{hints.blocks('Explore')[block]}" in shown
    assert f"**Matrix**\n\n{hints.blocks('Explore')['Matrix']}" not in shown


def test_the_guide_is_a_page_of_its_own(visit, digits):
    test = visit("help", run="digits")
    assert problems(test) == []
    assert "from data and a model to a result" in written(test)
    test.segmented_control(key="help-topic").set_value("Compare").run()
    assert "which score, did it help, what changed" in written(test)
    test.segmented_control(key="help-topic").set_value("Clusters").run()
    assert "#SBATCH --array=1-16" in written(test)
    assert not [button for button in test.button if button.key == "help-go"], "no page is called so"


def test_the_guide_names_the_keys_as_they_are():
    meanings = dict(re.findall(r'\["([^"]+)", "([^"]+)"[],]', KEYS))
    listed = re.findall(r"^\| (`.+) \| (.+) \|$", hints.text("Review"), re.MULTILINE)
    assert len(listed) >= 7
    for keys, meaning in listed:
        assert any(told == meaning and keys.split("`")[1].lower() in name.lower() for name, told in meanings.items())


@pytest.mark.parametrize("topic", [*guide.TOPICS, *guide.FURTHER])
def test_the_guide_speaks_of_controls_that_are_there(topic):
    root = Path(oga_app.__file__).parent
    sources = [*root.rglob("*.py"), *root.rglob("*.js")]
    program = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    named = re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", hints.text(topic))
    assert [name for name in named if " ".join(name.split()) not in program] == []


def test_a_run_is_read_by_pandas_and_numpy_alone_as_the_guide_shows(tmp_path):
    data = Path(oga_sample_data.__file__).parent
    options = ScoreOptions(label_column="diagnosis", map="none", scores=("loss",))
    run = score_here(data / "tumours.csv", data / "tumours.pt2", tmp_path / "my-run", options)
    (block,) = re.findall(r"```python\n(.*?)```", hints.text("Format"), re.DOTALL)
    alone = "import sys\nsys.modules.update(dict.fromkeys(('oga_core', 'oga_app', 'torch')))\n" + block
    done = subprocess.run([sys.executable, "-c", alone], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    worst = run.table.sort_values("score_loss", ascending=False)["sample_id"]
    assert worst.iloc[0] in done.stdout
    means = run.table.groupby("given_label")["score_loss"].mean()
    for name in ("benign", "malignant"):
        printed = re.search(rf"^{name}\s+([\d.e-]+)$", done.stdout, re.MULTILINE)
        assert float(printed[1]) == pytest.approx(means[name], rel=1e-3)


def test_the_guide_names_the_files_and_columns_of_a_run(tmp_path):
    text = hints.text("Format")
    data = Path(oga_sample_data.__file__).parent
    options = ScoreOptions(label_column="diagnosis", map="pca", scores=("oga",))
    run = score_here(data / "tumours.csv", data / "tumours.pt2", tmp_path / "run", options)
    assert f"`schema` is {run.info.schema}" in text
    files = {path.name for path in run.path.iterdir()} - {"arrays", ".lock"}
    assert {name for name in files if f"`{name}`" not in text} == set()
    listed = re.findall(r"`(\w+)`", text.split("`scores.parquet` |")[1].split("\n")[0])
    assert set(listed) - {"score_NAME"} <= set(run.table.columns)


def test_every_cluster_is_shown_in_ten_lines():
    blocks = re.findall(r"```\w+\n(.*?)```", hints.text("Clusters"), re.DOTALL)
    assert len(blocks) == 8
    assert all(len([line for line in block.splitlines() if line.strip()]) <= 10 for block in blocks)
    commands = [block for block in blocks if "oga" in block and "merge" not in block.split("oga")[1]]
    assert all(re.search(r"--shard|--on|SBATCH|sbatch|--wrap", block) for block in commands)
