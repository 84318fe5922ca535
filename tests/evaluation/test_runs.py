"""An earlier and a later run side by side."""

import json

import numpy as np
import pytest
from app_runs import image_run, language_run

from oga_app.cli import main
from oga_core.errors import OgaError
from oga_core.evaluation.runs import RunPair, flagged_mask
from oga_core.exports import export
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.runs.table import CONTENT


@pytest.fixture
def earlier(tmp_path):
    """A run of which the flagged were relabelled to their suggestions, the last two removed, and one kept."""
    run = image_run(tmp_path)
    data = ScoredRun(run.path)
    flagged = [row for row in data.order("loss")[:12] if data.suggestions[row] >= 0]
    store = ReviewStore(run.review)
    names = [str(data.ids[row]) for row in flagged]
    for row, name in zip(flagged[:-2], names, strict=False):
        store.decide(Decision(name, "relabel", data.classes[data.suggestions[row]]))
    store.decide([Decision(name, "remove") for name in names[-2:]])
    store.decide(Decision(str(data.ids[data.order("loss")[60]]), "keep"))
    store.close()
    return run


@pytest.fixture
def pair(earlier, tmp_path):
    """The run and the one on the fixed data."""
    from app_runs import write_run

    fixed = export(earlier, "fixed", tmp_path / "fixed")
    samples = read_samples(fixed)
    pixels = np.stack([np.asarray(samples.inputs[i].resize((8, 8)).convert("L")).ravel() for i in range(len(samples))])
    write_run(tmp_path / "later", samples, pixels / 255)
    return RunPair.open(earlier.path, tmp_path / "later")


def test_the_fixed_samples_are_found_again_in_other_folders(pair):
    old, new = pair.old, pair.new
    assert len(new) == len(old) - 2
    assert len(pair.same) == len(new)
    moved = [(row, place) for row, place in pair.same.items() if old.ids[row] != new.ids[place]]
    assert len(moved) == sum(item.action == "relabel" for item in pair.decisions.values())
    for row, place in moved:
        assert old.class_name(old.suggestions[row]) == new.class_name(new.given[place])


def test_what_happened_to_the_decided(pair):
    fates = pair.fates()
    assert fates["relabel"]["decided"] == fates["relabel"]["applied"] == fates["relabel"]["flagged_before"] > 5
    assert fates["relabel"]["flagged_now"] < fates["relabel"]["flagged_before"]
    assert fates["relabel"]["agreed"] > 5
    assert fates["remove"] == {"decided": 2, "applied": 2, "flagged_before": 2, "flagged_now": 0, "agreed": 0}
    assert fates["keep"]["decided"] == 1


def test_who_entered_and_who_left_the_flagged(pair):
    was, now = flagged_mask(pair.old), flagged_mask(pair.new)
    back = {place: row for row, place in pair.same.items()}
    assert len(pair.left)
    assert len(pair.entered)
    assert all(was[back[place]] and not now[place] for place in pair.left)
    assert all(now[place] and not was[back[place]] for place in pair.entered)
    stayed = sum(bool(was[row] and now[place]) for row, place in pair.same.items())
    assert stayed + len(pair.entered) == now.sum()


def test_the_command_prints_it(pair, capsys):
    assert main(["compare", str(pair.old.path), str(pair.new.path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(pair.summary()))
    assert printed["samples"] == {"old": 120, "new": 118, "same": 118, "gone": 2, "added": 0}
    accuracy = printed["accuracy_on_given_labels"]
    assert accuracy["new"] > accuracy["old"]
    assert printed["share_flagged"]["old"] == pytest.approx(0.1)
    assert printed["noise_rate"] == {"old": None, "new": None}
    assert len(printed["left_flagged"]) == len(pair.left)


def test_a_folder_that_is_no_run_is_named(earlier, tmp_path):
    with pytest.raises(OgaError, match="is not a run folder"):
        RunPair.open(earlier.path, tmp_path / "nothing")
    RunFolder.create(tmp_path / "empty").update(status="running")
    with pytest.raises(OgaError, match="no scores yet"):
        RunPair.open(tmp_path / "empty", earlier.path)


def test_an_edit_is_done_where_the_text_is_another_and_no_model_of_language_agrees(tmp_path):
    """Of rows without a prediction nothing says that the model agrees with them."""
    earlier, later = language_run(tmp_path, "earlier", n=6), language_run(tmp_path, "later", n=6)
    for run, first in ((earlier, "old text"), (later, "new text")):
        run.write_table(run.table.assign(**{CONTENT: [first, *map(str, range(5))]}))
        run.update(target="vector")
    store = ReviewStore(earlier.review)
    names = ScoredRun(earlier.path).ids
    store.decide([Decision(str(name), "edit", edit=(("/completion", "new"),)) for name in names[:2]])
    store.decide(Decision(str(names[2]), "keep"))
    store.close()
    fates = RunPair.open(earlier.path, later.path).fates()
    assert (fates["edit"]["decided"], fates["edit"]["applied"]) == (2, 1)
    assert (fates["keep"]["decided"], fates["keep"]["agreed"]) == (1, 0)
