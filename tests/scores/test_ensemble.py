"""Who belongs to the ensemble: trees for the rows of a table, no memorised model, no blind trust in sure logits."""

from dataclasses import replace

import numpy as np
import pytest
from problems import blobs, sketch_of

from oga_core.scores import compute_scores, ensemble
from oga_core.scores.estimators.confident import most_confident_class
from oga_core.scores.tables import boosting


def average_precision(scores, wrong):
    hits = wrong[np.argsort(-scores, kind="stable")]
    return (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()


def table(n_samples=1500, seed=0):
    """A class by the sign of a product of two columns, under a model and features that know nothing of it."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n_samples, 6)).astype(np.float32)
    true = (inputs[:, 0] * inputs[:, 1] > 0).astype(np.int64)
    wrong = rng.random(n_samples) < 0.15
    features = rng.normal(size=(n_samples, 5)).astype(np.float32)
    sketch = sketch_of(features, 0.3 * features[:, :2], np.where(wrong, 1 - true, true))
    return replace(sketch, view_logits=None, middle_features=None), inputs, wrong


def test_trees_on_the_rows_see_what_the_model_did_not():
    sketch, inputs, wrong = table()
    with_rows = compute_scores(replace(sketch, inputs=inputs), ["oga"])[0]["oga"]
    without = compute_scores(sketch, ["oga"])[0]["oga"]
    assert average_precision(with_rows, wrong) > 0.8 > 0.4 > average_precision(without, wrong)


def test_trees_have_not_seen_the_label_that_they_judge():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1200, 8)).astype(np.float32)
    labels = rng.integers(2, size=1200)
    logits = boosting.boosted_logits(inputs, labels, 2, np.arange(1200))
    assert abs((logits.argmax(axis=1) == labels).mean() - 0.5) < 0.06


def test_a_straight_fit_on_the_rows_counts_where_the_trees_tell_no_more():
    sketch, inputs, _ = table()
    assert sum(member.sees_rows for member in ensemble.ensemble(replace(sketch, inputs=inputs))) == 1
    rng = np.random.default_rng(0)
    true = (inputs[:, 0] + inputs[:, 1] + 0.5 * rng.normal(size=len(inputs)) > 0).astype(np.int64)
    # Half of the labels in a corner are wrong: the trees learn it, a straight line cannot.
    wrong = (inputs[:, 2] > 0.8) & (rng.random(len(inputs)) < 0.5)
    given = np.where(wrong, 1 - true, true)
    corner = replace(sketch, given_labels=given, inputs=inputs)
    trees, straight = (member for member in ensemble.ensemble(corner) if member.sees_rows)
    assert 0 < straight.weight <= trees.weight
    own = np.arange(len(given)), given
    assert average_precision(-straight.logits[own], wrong) > average_precision(-trees.logits[own], wrong)


def test_a_table_of_very_many_columns_has_no_straight_fit(monkeypatch):
    sketch, inputs, _ = table()
    monkeypatch.setattr(ensemble, "MOST_INPUTS", 5)
    labels = (inputs[:, 0] > 0).astype(np.int64)
    wide = replace(sketch, given_labels=labels, inputs=inputs)
    assert sum(member.sees_rows for member in ensemble.ensemble(wide)) == 1


def test_the_order_of_the_rows_does_not_matter():
    sketch, inputs, _ = table(1000)
    order = np.random.default_rng(1).permutation(1000)
    scores = compute_scores(replace(sketch, inputs=inputs), ["oga"])[0]["oga"]
    shuffled = compute_scores(replace(sketch, inputs=inputs).take(order), ["oga"])[0]["oga"]
    np.testing.assert_allclose(shuffled, scores[order], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("n_samples", "n_classes", "expected"), [(999, 2, False), (1000, 20, True), (1000, 21, False)])
def test_trees_grow_where_there_are_rows_enough_and_classes_few(n_samples, n_classes, expected):
    assert boosting.suits(np.zeros((n_samples, 2), dtype=np.float32), n_classes) is expected
    assert not boosting.suits(None, n_classes)


def test_a_class_that_no_other_fold_has_is_improbable_and_finite():
    inputs = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64)
    labels[0] = 2
    assert np.isfinite(boosting.boosted_logits(inputs, labels, 3, np.arange(1000))).all()


def test_sure_outputs_without_features_are_scored_by_what_they_say():
    sketch, wrong = blobs(1200, n_classes=6, flipped=0.2)
    sure = sketch_of(sketch.features, 5 * sketch.logits, sketch.given_labels)
    bundle = replace(sure, features=None, middle_features=None, view_logits=None)
    assert not ensemble.has_memorised(bundle)
    assert average_precision(compute_scores(bundle, ["oga"])[0]["oga"], wrong) > 0.9


def test_a_rare_class_makes_no_model_look_as_if_it_had_memorised():
    rng = np.random.default_rng(0)
    labels = (rng.random(3000) < 0.02).astype(np.int64)
    features = (0.5 * labels[:, None] + rng.normal(size=(3000, 3))).astype(np.float32)
    sketch = sketch_of(features, np.tile(np.array([[3.0, 0.0]], dtype=np.float32), (3000, 1)), labels)
    assert not ensemble.has_memorised(sketch)


def test_only_classes_that_reach_their_own_threshold_are_confident():
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    assert most_confident_class(p, np.array([0, 0, 1, 1])).tolist() == [0, -1, 1, -1]
