"""Scores that other installed packages add: a real distribution in a folder, found in a fresh interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import numpy as np
from oga_core.scores import Score

def squared_loss(sketch, *, seed=0):
    \"\"\"The square of the loss, `(n_samples,)`; from no paper.\"\"\"
    return np.asarray(sketch.losses, dtype=np.float64) ** 2

def position(sketch, *, seed=0):
    \"\"\"The place of the sample in the data, `(n_samples,)`; from no paper.\"\"\"
    return np.arange(len(sketch))

def failing(sketch, *, seed=0):
    raise KeyError("no such thing")

def short(sketch, *, seed=0):
    return np.zeros(3)

their_square = Score(squared_loss, "confidence")
their_position = Score(position, "confidence")
their_failure = Score(failing, "confidence")
their_short = Score(short, "confidence")
not_a_score = squared_loss
"""
NAMES = ("their_square", "their_position", "their_failure", "their_short")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment of an interpreter in which the distribution `their-scores` is installed."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "their_scores.py").write_text(CODE)
    information = folder / "their_scores-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-scores\nVersion: 1.0\n")
    points = [f"{name} = their_scores:{name}" for name in NAMES]
    points += ["wrong_type = their_scores:not_a_score", "absent = their_scores:nothing", "loss = their_scores:short"]
    (information / "entry_points.txt").write_text("[oga.scores]\n" + "\n".join(points) + "\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "tests" / "scores")])}


def run(installed, *arguments):
    return subprocess.run([sys.executable, *arguments], env=installed, cwd=ROOT, capture_output=True, text=True)


def test_a_score_of_another_package_is_held_to_the_same_contract(installed):
    contract = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/scores/test_scores.py", "-k"]
    good = run(installed, *contract, "their_square")
    assert "5 passed" in good.stdout, good.stdout
    bad = run(installed, *contract, "their_position and order_of_the_samples")
    assert "1 failed" in bad.stdout, bad.stdout


def test_a_package_that_fails_costs_no_other_score_anything(installed):
    program = """
from problems import blobs
from oga_core.errors import OgaError
from oga_core.scores import SCORES, compute_scores, require_known
sketch, _ = blobs(60)
scores, _ = compute_scores(sketch)
print(sorted(name for name in SCORES if name.startswith("their_")), len(scores) > 30, scores["loss"].shape)
print("their_square" in scores, "their_failure" in scores, "their_short" in scores)
for name in ("their_failure", "their_short", "wrong_type", "absent"):
    try:
        compute_scores(sketch, [name])
    except OgaError as error:
        print(error)
"""
    lines = run(installed, "-W", "ignore", "-c", program).stdout.splitlines()
    assert lines[0] == f"{sorted(NAMES)} True (60,)"
    assert lines[1] == "True False False"
    assert "'their_failure' cannot be computed here: 'no such thing'" in lines[2]
    assert "'their_short' has the shape (3,), not one value for each of 60" in lines[3]
    assert "'wrong_type' is not available. The package their-scores cannot offer it: their_scores:not_a" in lines[4]
    assert "'absent' is not available. The package their-scores cannot offer it" in lines[5]
