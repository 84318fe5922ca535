"""A second run knows what was decided on the first, and says what it cannot know any more."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from app_runs import image_run, write_run

from oga_core.pipeline.contents import content_hashes
from oga_core.readers import read_samples
from oga_core.review import Decision, ReviewStore
from oga_core.review.carrying import CHANGED, GONE, RELABELLED, carried, carry_over, same_samples
from oga_core.review.decisions import UNSEEN
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun

ROWS = [(f"t{i:02}", f"film number {i}", ("neg", "pos")[i % 2]) for i in range(40)]


def scored(folder: Path, name: str, rows: list[tuple[str, str, str]]) -> RunFolder:
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text", "label"), *rows])
    samples = read_samples(path)
    features = np.random.default_rng(0).normal(size=(len(samples), 3)) + samples.given_labels[:, None]
    return write_run(folder / name, samples, features)


@pytest.fixture
def earlier(tmp_path):
    return scored(tmp_path, "earlier", ROWS)


def later(folder, changes: dict[int, tuple[str, str, str] | None]) -> RunFolder:
    rows = [changes.get(i, row) for i, row in enumerate(ROWS)]
    return scored(folder, "later", [row for row in rows if row is not None])


def made(i: int, action: str, label: str | None = None) -> Decision:
    return Decision(f"t{i:02}", action, label, "ann", note="seen")


def test_each_decision_is_carried_applied_or_stale(earlier, tmp_path):
    decisions = [made(0, "relabel", "pos"), made(1, "keep"), made(2, "remove"), made(3, "relabel", "neg")]
    decisions += [made(4, "relabel", "pos"), made(5, "unsure"), made(6, "keep"), made(7, "keep"), made(8, "keep")]
    changes = {
        0: ("t00", "film number 0", "pos"),  # relabelled as decided
        2: None,  # removed as decided
        4: ("t04", "another film", "neg"),
        6: None,  # kept, and yet gone
        7: ("t07", "film number 7", "neg"),  # another label, though it was to be kept
        8: ("t99", "film number 8", "neg"),  # the same film under another id
    }
    new = later(tmp_path, changes)
    result = carried(ScoredRun(earlier.path), ScoredRun(new.path), {item.sample_id: item for item in decisions})
    stand = {item.sample_id: (item.action, item.new_label) for item in result.decisions}
    assert stand == {
        "t00": ("keep", None),
        "t01": ("keep", None),
        "t03": ("relabel", "neg"),
        "t05": ("unsure", None),
        "t99": ("keep", None),
    }
    assert {(item.reviewer, item.note) for item in result.decisions} == {("ann", "seen")}
    assert result.applied == ("t00", "t02")
    reasons = {item.decision.sample_id: item.reason for item in result.stale}
    assert reasons == {"t04": CHANGED, "t06": GONE, "t07": RELABELLED}
    assert result.counts() == {"carried": 5, "applied": 2, "stale": {CHANGED: 1, GONE: 1, RELABELLED: 1}}


def test_what_nobody_looked_at_is_open_again_once_it_is_done(earlier, tmp_path):
    together = [replace(made(i, "relabel", label), note=UNSEEN) for i, label in ((0, "pos"), (3, "neg"))]
    new = later(tmp_path, {0: ("t00", "film number 0", "pos")})
    result = carried(ScoredRun(earlier.path), ScoredRun(new.path), {item.sample_id: item for item in together})
    assert result.applied == ("t00",)
    assert result.decisions == (together[1],)
    assert not result.decisions[0].is_verdict


def test_carrying_over_is_one_step_a_reviewer_and_happens_once(earlier, tmp_path):
    store = ReviewStore(earlier.review)
    store.decide([made(1, "keep"), made(3, "relabel", "neg")])
    store.decide(Decision("t05", "remove", reviewer="bob"))
    store.close()
    new = later(tmp_path, {})
    for _ in range(2):
        assert len(carry_over(new, earlier).decisions) == 3
    with_new = ReviewStore(new.review)
    assert with_new.reviewers() == {"ann": 2, "bob": 1}
    assert [step.n_samples for step in with_new.history()] == [1, 2]
    assert with_new.undo("ann") == ["t01", "t03"]
    with_new.close()


def test_without_an_earlier_review_nothing_is_carried(earlier, tmp_path):
    new = later(tmp_path, {})
    assert carry_over(new, earlier).counts() == {"carried": 0, "applied": 0, "stale": {}}
    assert not new.review.exists()


def test_runs_without_hashes_are_matched_by_id(earlier, tmp_path):
    earlier.write_table(earlier.table.drop(columns="content_hash"))
    new = later(tmp_path, {4: ("t04", "another film", "neg"), 8: ("t99", "film number 8", "neg")})
    pairs = same_samples(ScoredRun(earlier.path), ScoredRun(new.path))
    assert len(pairs) == 39
    assert 4 in pairs
    assert 8 not in pairs


def test_a_hash_is_of_what_a_sample_holds(tmp_path):
    images = image_run(tmp_path, n=30).samples
    hashes = content_hashes(images)
    assert len(set(hashes)) == len({images.inputs[i].tobytes() for i in range(30)}) > 25
    some = np.array([7, 3, 3])
    assert content_hashes(images.take(some)) == [hashes[7], hashes[3], hashes[3]]
    texts = [scored(tmp_path, name, rows).samples for name, rows in (("a", ROWS), ("b", ROWS[::-1]))]
    assert content_hashes(texts[0]) == content_hashes(texts[1])[::-1]
    assert all(len(value) == 16 for value in content_hashes(texts[0]))
