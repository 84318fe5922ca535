"""Retraining end to end on a small table with known wrong labels, and each part against its definition."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from here import score_here, verify_here, without_workers
from scipy.stats import t
from torch import nn

import oga_core
from oga_app.cli import main
from oga_core.errors import OgaError
from oga_core.evaluation.truth import truly_wrong
from oga_core.pipeline.options import ScoreOptions
from oga_core.retrain import job as retraining_job
from oga_core.retrain import verification as retrain
from oga_core.retrain import verify
from oga_core.retrain.arms import (
    DECIDED,
    NOTHING_CHANGED,
    RANDOM_TRIM,
    RELABELLED,
    TRIMMED,
    TRULY_WRONG,
    curve_shares,
)
from oga_core.retrain.comparison import compare, headline, verdict, warnings
from oga_core.review import ReviewStore
from oga_core.review.decisions import Decision
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun

CLASSES = ("cat", "dog", "eel")
N = 240
WIDTH = 8


def table(n, flipped, seed):
    """Overlapping Gaussian classes; a share of the labels of every class but the last moved on to the next."""
    rng = np.random.default_rng(seed)
    true = np.arange(n) % 3
    values = np.random.default_rng(7).normal(size=(3, WIDTH))[true] * 1.2 + rng.normal(size=(n, WIDTH))
    given = np.where((rng.random(n) < flipped) & (true < 2), true + 1, true)
    frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(WIDTH)])
    return frame.assign(id=[f"row-{i}" for i in range(n)], label=np.array(CLASSES)[given]), true, given


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A scored run of 240 rows with a third of two classes mislabelled, and clean validation rows."""
    folder = tmp_path_factory.mktemp("retrain")
    frame, true, given = table(N, 0.4, seed=0)
    frame.to_csv(folder / "train.csv", index=False)
    table(600, 0.0, seed=1)[0].to_csv(folder / "clean.csv", index=False)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    x = torch.tensor(frame.filter(like="x").to_numpy(), dtype=torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.tensor(given)).backward()
        optimizer.step()
    card = {"features": [f"x{i}" for i in range(WIDTH)]}
    oga_core.package_model(
        model.eval(), x[:2], folder / "model.pt2", classes=list(CLASSES), modality="tabular", input=card
    )
    options = ScoreOptions(scores=("loss", "margin"), map="none", label_column="label", id_column="id")
    run = score_here(folder / "train.csv", folder / "model.pt2", folder / "run", options)
    run.write_table(run.table.assign(score_truth=(true != given).astype(float)))
    return run, folder / "clean.csv"


def carried_out(run, **changes):
    """The worker's part, run here."""
    labels = np.array([CLASSES.index(name) for name in run.table["given_label"]])
    flagged = np.flatnonzero(run.table["score_truth"])
    plan = {"flagged": flagged.tolist(), "predicted": (labels[flagged] - 1).tolist(), "removed": [], "relabelled": {}}
    arguments = {
        "run": str(run.path),
        "plan": plan,
        "labels": labels.tolist(),
        "n_classes": 3,
        "depth": "head",
        "seeds": 2,
        "validation": None,
        "device": "cpu",
        "epochs": None,
    }
    return retraining_job.run({**arguments, **changes}, lambda event: None)


def test_trimming_wrong_labels_is_found_to_help(scored):
    run, clean = scored
    decided = [Decision("row-0", "relabel", "dog"), Decision("row-4", "remove"), Decision("row-5", "keep")]
    store = ReviewStore(run.review)
    store.decide(decided)
    store.close()
    events = []
    result = verify(run, trim_fraction=0.27, score="truth", validation=clean, progress=events.append)
    assert list(result["arms"]) == [NOTHING_CHANGED, TRIMMED, RANDOM_TRIM, RELABELLED, DECIDED]
    assert result["arms"][TRIMMED]["gain"]["says"] == "better"
    assert result["arms"][TRIMMED]["gain"]["mean"] > 0.03
    assert result["arms"][RANDOM_TRIM]["gain"]["says"] != "better"
    assert result["n_decisions"] == 2
    assert result["judged_on"] == {"kind": "validation", "path": str(clean), "n": 600}
    assert "Trimming the 65 most suspicious samples (27.0% by 'truth')" in result["verdict"]
    assert json.loads((run.path / "verify.json").read_text()) == result
    assert not list(run.path.glob(".verify-*"))
    assert events[-1]["stage"] == "retraining"
    assert events[-1]["done"] == events[-1]["total"] == 27  # three seeds of five arms and four points of the curve
    fractions = [point["trim_fraction"] for point in result["curve"]]
    assert fractions == pytest.approx([0, 16 / 240, 32 / 240, 65 / 240, 98 / 240, 130 / 240])
    assert result["curve"][3]["accuracy"] == result["arms"][TRIMMED]["accuracy"]["mean"]
    assert result["curve"][3]["accuracy"] > result["curve"][5]["accuracy"]  # twice as many are mostly right ones
    unchanged = result["arms"][NOTHING_CHANGED]
    assert np.mean(unchanged["of_class"]) == pytest.approx(unchanged["balanced_accuracy"]["mean"], abs=1e-3)
    line, advice = headline(result)
    assert line.startswith("Trimming what is flagged: +")
    assert "points of accuracy" in line
    assert line.endswith("it helps.")
    assert advice == "Export the data without them, and train on that."


def test_the_truly_wrong_are_one_more_arm_and_a_gain_can_be_asked_for(scored, tmp_path):
    run, clean = scored
    wrong = run.table["score_truth"].to_numpy() > 0
    truth = tmp_path / "truth.csv"
    names = np.array(CLASSES)[(run.table["given_label"].map(CLASSES.index).to_numpy() - wrong) % 3]
    truth.write_text("id,true_label\n" + "\n".join(map(",".join, zip(run.table["sample_id"], names, strict=True))))
    assert truly_wrong(run, truth) == np.flatnonzero(wrong).tolist()
    command = ["verify", str(run.path), "--score", "truth", "--trim-fraction", "0.27", "--validation", str(clean)]
    command += ["--truth", str(truth), "--json"]
    assert main([*command, "--min-gain", "0.001"]) == 0
    result = json.loads((run.path / "verify.json").read_text())
    gains = {name: arm["gain"]["mean"] for name, arm in result["arms"].items() if "gain" in arm}
    assert gains[TRULY_WRONG] == pytest.approx(gains[TRIMMED], abs=0.02)
    assert result["reaches_min_gain"]
    assert f"the {wrong.sum():,} samples whose label is truly wrong" in result["verdict"]
    with without_workers():
        assert main([*command, "--min-gain", "0.9"]) == 3


def test_a_curve_trims_and_relabels_shares_up_to_the_noise_rate(scored):
    assert curve_shares(0.3) == [0.025, 0.05, 0.1, 0.2, 0.3]
    assert curve_shares(0.21) == [0.025, 0.05, 0.1, 0.21]
    assert curve_shares(0.02) == [0.02]
    result = verify_here(scored[0], trim_fraction=0.27, score="truth", seeds=1, curve=True, validation=scored[1])
    fractions = [point["trim_fraction"] for point in result["curve"]]
    assert fractions == pytest.approx([0, 6 / 240, 12 / 240, 24 / 240, 48 / 240, 65 / 240])
    unchanged, last = result["curve"][0], result["curve"][-1]
    assert unchanged["relabelled_accuracy"] == unchanged["accuracy"]
    assert last["accuracy"] == pytest.approx(result["arms"][TRIMMED]["accuracy"]["mean"])
    assert last["relabelled_accuracy"] == pytest.approx(result["arms"][RELABELLED]["accuracy"]["mean"])
    assert last["accuracy"] > unchanged["accuracy"]


def test_decisions_can_be_left_out(scored):
    run = ScoredRun(scored[0].path)
    assert retrain._plan(run, "loss", 0.1, decisions=True).has_decisions
    assert not retrain._plan(run, "loss", 0.1, decisions=False).has_decisions


def test_held_out_samples_are_judged_as_given(scored):
    trials = carried_out(scored[0])["trials"]
    assert {trial["n_judged"] for trial in trials} == {49}
    assert {trial["n_train"] for trial in trials if trial["arm"] == NOTHING_CHANGED} == {191}
    trimmed = [trial for trial in trials if trial["arm"] == TRIMMED]
    assert trimmed[0]["n_train"] < 191
    assert [t["n_train"] for t in trials if t["arm"] == RANDOM_TRIM] == [t["n_train"] for t in trimmed]


def test_whole_networks_are_trained_from_random_weights(scored):
    run, clean = scored
    result = carried_out(run, depth="all", seeds=1, validation=str(clean), epochs=30)
    assert result["start"] == "random weights"
    accuracy = {trial["arm"]: trial["accuracy"] for trial in result["trials"]}
    assert accuracy[NOTHING_CHANGED] > 0.5
    assert accuracy[TRIMMED] > accuracy[NOTHING_CHANGED]
    assert result["trials"] == carried_out(run, depth="all", seeds=1, validation=str(clean), epochs=30)["trials"]


def test_a_class_that_vanishes_is_refused(scored):
    labels = np.array([CLASSES.index(name) for name in scored[0].table["given_label"]])
    rows = np.flatnonzero(labels != 0)
    plan = {"flagged": rows.tolist(), "predicted": [0] * len(rows), "removed": [], "relabelled": {}}
    with pytest.raises(OgaError, match=r"'trimmed' has samples of only one class left"):
        carried_out(scored[0], plan=plan)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trim_fraction": 0.0}, "above 0 and at most 0.9, got 0.0"),
        ({"score": "los"}, "Unknown score of this run: 'los'. Choose one of: loss, margin, truth"),
        ({"depth": "half"}, "Unknown depth 'half'. Choose one of: head, all"),
        ({"seeds": 0}, "seeds must be 1 or more, got 0"),
        ({"validation": "nowhere.csv"}, "'nowhere.csv' does not exist"),
    ],
)
def test_what_cannot_be_compared_is_named(scored, options, message):
    with pytest.raises(OgaError, match=message.replace(".", r"\.")):
        verify(scored[0], **options)


def copied(scored, tmp_path, **changes):
    run = RunFolder.create(tmp_path / "copy")
    run.update(**{**scored[0].info.as_json(), **changes})
    run.write_table(scored[0].table)
    return run


def test_runs_without_labels_or_network_are_refused(scored, tmp_path):
    with pytest.raises(OgaError, match="no class labels"):
        verify(copied(scored, tmp_path, classes=[]))
    with pytest.raises(OgaError, match=r"made from a model's outputs.*--depth head"):
        verify(copied(scored, tmp_path, model={"path": None}), depth="all")
    with pytest.raises(OgaError, match="is not there any more"):
        verify(copied(scored, tmp_path, model={"path": "/gone.pt2"}), depth="all")


def trial(arm, seed, accuracy, wins, losses):
    numbers = {"accuracy": accuracy, "balanced_accuracy": accuracy, "loss": 1.0, "n_train": 10, "n_relabelled": 0}
    return {
        "arm": arm,
        "seed": seed,
        "n_judged": 1000,
        "only_this_right": wins,
        "only_unchanged_right": losses,
        **numbers,
    }


def trials(gains, wins=50, losses=40):
    base = [trial(NOTHING_CHANGED, seed, 0.7, 0, 0) for seed in range(len(gains))]
    return base + [trial(TRIMMED, seed, 0.7 + gain, wins, losses) for seed, gain in enumerate(gains)]


def test_a_gain_counts_only_beyond_chance():
    def says(*arguments, split=False):
        return compare(trials(*arguments), split=split)[TRIMMED]["gain"]["says"]

    assert says([0.03, 0.031, 0.029]) == "better"
    assert says([-0.03, -0.031, -0.029]) == "worse"
    assert says([0.03, -0.01, 0.05]) == "no clear difference"
    assert says([0.01, 0.01, 0.01], 130, 120) == "no clear difference"
    assert says([0.01, 0.01, 0.01], 11, 1) == "better"
    assert says([0.0, 0.0, 0.0], 0, 0) == "no clear difference"


@pytest.mark.parametrize("split", [False, True])
def test_an_interval_holds_what_differs_between_trainings_and_within_what_is_judged(split):
    gains = np.array([0.0, 0.02, 0.04])
    between = t.ppf(0.95, 2) * gains.std(ddof=1) / np.sqrt(3)
    # Each training judges 1,000 samples: the same ones, or a part of its own.
    within = 1.645 * np.sqrt((500 + 400) / 1000 / (3000 if split else 1000))
    low, high = compare(trials(gains, 500, 400), split=split)[TRIMMED]["gain"]["interval_90"]
    expected = max(between, within) if split else np.hypot(between, within)
    assert (high - low) / 2 == pytest.approx(expected, rel=1e-3)
    assert (high + low) / 2 == pytest.approx(0.02)


def test_intervals_cover_no_difference_nine_times_in_ten():
    rng, covered = np.random.default_rng(0), []
    for _ in range(300):
        members = []
        wins, losses = rng.binomial(1000, 0.05), rng.binomial(1000, 0.05)
        for seed in range(3):
            members.append(trial(NOTHING_CHANGED, seed, 0.7, 0, 0))
            members.append(trial(TRIMMED, seed, 0.7 + (wins - losses) / 1000, wins, losses))
        low, high = compare(members, split=False)[TRIMMED]["gain"]["interval_90"]
        covered.append(low <= 0 <= high)
    assert 0.85 <= np.mean(covered) <= 0.97


def test_the_verdict_does_not_overclaim():
    members = trials([0.001, 0.002, 0.003]) + [trial(RANDOM_TRIM, s, 0.68, 30, 50) for s in range(3)]
    members += [trial(RELABELLED, s, 0.76, 90, 30) for s in range(3)]
    summary = {
        "arms": compare(members, split=True),
        "judged_on": {"kind": "held_out", "share": 0.2, "n": 1000},
        "seeds": 3,
        "n_flagged": 100,
        "trim_fraction": 0.1,
        "score": "oga",
        "n_decisions": 0,
        "depth": "head",
    }
    text = verdict(summary)
    assert "by 'oga'): +0.002" in text
    assert "no clear difference. Trimming as many at random: -0.020" in text
    assert "Against a random trim of the same size, the flagged trim is +0.022." in text
    words = " ".join(warnings(summary, accuracy_on_given=0.99))
    assert "some are wrong" in words
    assert "memorised" in words
    assert "Look at the samples" in words
    summary["judged_on"]["kind"] = "validation"
    assert "memorised" not in " ".join(warnings(summary, accuracy_on_given=0.99))
