"""Noise that fills a corner of a table's inputs."""

from dataclasses import replace

import numpy as np
import pytest
from problems import sketch_of
from sklearn.metrics import average_precision_score

from oga_core.scores import oga
from oga_core.scores.ensemble import Member
from oga_core.scores.tables import corner as corners
from oga_core.scores.tables.boosting import boosted_logits
from oga_core.scores.tables.corner import MODELS, CornerNoise


def rows_with_a_corner(n_samples, *, share=0.75, n_classes=2, seed=0):
    """Rows, labels and which are wrong: classes along the first column, most labels wrong far along the second."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n_samples, 3)).astype(np.float32)
    cuts = np.linspace(-1, 1, n_classes + 1)[1:-1]
    true = np.searchsorted(cuts, inputs[:, 0] + 0.3 * rng.normal(size=n_samples))
    hit = rng.random(n_samples) < np.where(inputs[:, 1] > 0.8, share, 0.02)
    moved = (true + rng.integers(1, n_classes, size=n_samples)) % n_classes
    return inputs, np.where(hit, moved, true).astype(np.int64), hit


@pytest.fixture(scope="module")
def corner():
    """Rows with a corner, and what is made of them."""
    inputs, labels, wrong = rows_with_a_corner(1000)
    order = np.random.default_rng(1).permutation(1000)
    return inputs, labels, wrong, order, CornerNoise.of(inputs, labels, 2, order)


def test_a_corner_in_which_most_labels_are_wrong_is_seen_through_where_trees_learn_it(corner):
    inputs, labels, wrong, order, noise = corner
    trees = boosted_logits(inputs, labels, 2, order)
    by_trees = (trees[np.arange(1000), 1 - labels] - trees[np.arange(1000), labels]).astype(float)
    assert average_precision_score(wrong, by_trees) < 0.6
    assert average_precision_score(wrong, noise.log_odds_of_another_label()) > 0.75
    assert noise.varies() == 1
    inside = inputs[:, 1] > 1
    assert noise.logit_wrong[inside].mean() > 0
    assert noise.logit_wrong[~inside].mean() < -1.5


def test_the_default_score_of_a_table_sees_through_a_corner(corner):
    inputs, labels, wrong, _, _ = corner
    logits = np.stack([-3 * inputs[:, 0], 3 * inputs[:, 0]], axis=1)
    sketch = sketch_of(inputs, logits, labels)
    assert average_precision_score(wrong, oga.oga(replace(sketch, inputs=inputs))) > 0.75


def test_a_rare_class_is_not_taken_for_a_corner(corner, monkeypatch):
    inputs, labels, *_, noise = corner
    sketch = replace(sketch_of(inputs, inputs[:, :2], labels), inputs=inputs)
    for share, is_heard in ((0.05, False), (0.3, True)):
        rare = replace(noise, log_classes=np.log(np.tile([1 - share, share], (1000, 1))))
        monkeypatch.setattr(oga.CornerNoise, "of", lambda *_, rare=rare: rare)
        assert (oga._corner_noise(sketch) is not None) == is_heard


def test_what_it_tells_of_labels_is_compared_row_by_row(corner):
    noise = corner[-1]
    other = replace(noise, labels=1 - noise.labels)
    np.testing.assert_allclose(np.exp(noise.log_probability()) + np.exp(other.log_probability()), 1, rtol=1e-6)
    assert noise.tells_more(noise.log_probability() - 0.5) == 1
    assert noise.tells_more(noise.log_probability() + 0.5) == 0


def test_noise_that_is_everywhere_does_not_vary():
    inputs, labels, _ = rows_with_a_corner(500, share=0.02, n_classes=3)
    assert CornerNoise.of(inputs, labels, 3, np.arange(500)).varies() < 0.5


def test_what_is_wrong_is_what_is_left_of_a_label_s_probability():
    rng = np.random.default_rng(0)
    classes = rng.dirichlet(np.ones(3), size=100)
    labels = rng.integers(3, size=100)
    noise = CornerNoise(labels, np.log(classes), rng.normal(size=100))
    share = 1 / (1 + np.exp(-noise.logit_wrong))
    of_all = sum(np.exp(replace(noise, labels=np.full(100, label)).log_probability()) for label in range(3))
    np.testing.assert_allclose(of_all, 1)
    right = (1 - share) * classes[np.arange(100), labels] / np.exp(noise.log_probability())
    np.testing.assert_allclose(1 / (1 + np.exp(noise.log_odds_of_another_label())), right)


def test_the_share_of_wrong_labels_is_found_by_the_place_among_three_classes():
    inputs, labels, wrong = rows_with_a_corner(4000, n_classes=3)
    fit = corners._Fit.of(MODELS[0], inputs.astype(float), labels, 3)
    found = 1 / (1 + np.exp(-fit.logit_wrong(inputs.astype(float))))
    for inside in (inputs[:, 1] > 1.2, inputs[:, 1] < 0):
        assert found[inside].mean() == pytest.approx(wrong[inside].mean(), abs=0.12)


def test_no_row_is_judged_by_a_fit_that_has_seen_its_label():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 3)).astype(np.float32)
    labels = rng.integers(2, size=120)
    noise = CornerNoise.of(inputs, labels, 2, np.arange(120))
    assert noise.log_probability().mean() < np.log(0.5)


def test_classes_that_bend_are_taken_where_they_tell_more():
    x = np.random.default_rng(0).normal(size=(400, 2))
    labels = (np.linalg.norm(x, axis=1) > 1.2).astype(np.int64)
    straight, bent = (corners._left_out(model, x, labels, 2) for model in MODELS[:3:2])
    assert bent > straight + 0.1


def test_a_corner_counts_for_what_it_varies_and_tells_and_less_where_noise_is_agreed_to_run_one_way(
    corner, monkeypatch
):
    inputs, labels, *_, noise = corner
    sketch = sketch_of(inputs, inputs[:, :2], labels)
    flat = replace(noise, logit_wrong=np.full(1000, -2.0))
    nothing, all_labels = np.zeros((1000, 2), np.float32), 5 * np.eye(2, dtype=np.float32)[labels]
    for fit, trees, agreed, weight in (
        (noise, nothing, 0.0, 2.0),
        (noise, all_labels, 0.0, 1.0),
        (noise, nothing, 0.5, 1.0),
        (flat, nothing, 0.0, 0.0),
    ):
        monkeypatch.setattr(oga, "_corner_noise", lambda _, fit=fit: fit)
        odds = oga._with_corner(np.zeros(1000), [Member(trees, sees_rows=True)], agreed, sketch)
        assert odds.std() == pytest.approx(weight / (1 + weight))
