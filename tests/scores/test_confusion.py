"""Which classes are mistaken for which, and how the shares of the classes are taken into account."""

from dataclasses import replace

import numpy as np
import pytest
from problems import sketch_of

from oga_core.scores import oga
from oga_core.scores.ensemble import Member, weighed
from oga_core.scores.estimators.calibration import calibrated, information, log_likelihood, log_shares
from oga_core.scores.estimators.confusion import (
    anchored,
    anchors,
    beyond_corners,
    either_way,
    joint_of_labels,
    one_way_share,
)
from oga_core.scores.estimators.discriminant import discriminant_logits
from oga_core.scores.estimators.label_noise import LabelNoise, agreement


def two_classes(one_way, other_way, shift=1.5, n_samples=6000, seed=0):
    """Log-likelihoods of two classes that overlap, and labels of which some are wrong, one way and the other."""
    rng = np.random.default_rng(seed)
    true = rng.integers(2, size=n_samples)
    x = np.where(true == 1, shift, -shift) + rng.normal(size=n_samples)
    flipped = rng.random(n_samples) < np.where(true == 0, one_way, other_way)
    return np.stack([-shift * x, shift * x], axis=1).astype(np.float32), np.where(flipped, 1 - true, true)


def with_shares(logits, labels):
    return logits + log_shares(labels, logits.shape[1])


def test_the_scale_is_found_where_one_class_is_rare():
    rng = np.random.default_rng(0)
    labels = (rng.random(20000) < 0.03).astype(np.int64)
    x = np.where(labels == 1, 1.5 + 2 * rng.normal(size=20000), rng.normal(size=20000))
    logits = np.stack([-(x**2) / 2, -((x - 1.5) ** 2) / 8 - np.log(2)], axis=1).astype(np.float32)  # of two Gaussians
    scaled = calibrated(3 * logits, labels)
    assert np.ptp(scaled, axis=1).mean() / np.ptp(logits, axis=1).mean() == pytest.approx(1, abs=0.05)


def test_logits_that_know_nothing_tell_nothing_however_rare_a_class_is():
    labels = (np.arange(5000) % 50 == 0).astype(np.int64)
    noise = np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32)
    assert abs(information(calibrated(noise, labels), labels)) < 0.005
    assert log_likelihood(np.zeros_like(noise), labels) == pytest.approx(-0.098, abs=0.002)  # the entropy of 1 in 50


def test_anchors_show_how_often_each_class_is_mistaken():
    logits, labels = two_classes(0.25, 0.0)
    counts = anchors(with_shares(logits, labels), labels)
    rates = 1 - np.diag(counts) / counts.sum(axis=1)
    assert rates[0] == pytest.approx(0.25, abs=0.05)
    assert rates[1] < 0.02
    assert anchored(logits, labels, counts)[0, 1] == pytest.approx(0.125, abs=0.03)


def test_a_class_that_nothing_is_of_has_no_anchors():
    counts = anchors(np.array([[3.0, 1.0, 0.0]] * 50), np.zeros(50, dtype=np.int64))
    assert counts.sum(axis=1).tolist() == [20, 0, 0]


def test_noise_that_runs_one_way_is_believed_where_sure_samples_show_it_and_not_where_classes_only_overlap():
    logits, labels = two_classes(0.25, 0.0)
    joint = joint_of_labels(logits, labels)
    assert one_way_share(joint, anchors(with_shares(logits, labels), labels)) > 0.99
    # Overconfident logits of classes with the same noise both ways, tilted so that the fit sees it run one way.
    logits, labels = two_classes(0.1, 0.1, shift=0.8)
    tilted = 1.5 * logits + np.array([0.0, 0.8], dtype=np.float32)
    joint = joint_of_labels(tilted, labels)
    assert joint[1, 0] > 2 * joint[0, 1]
    assert one_way_share(joint, anchors(with_shares(logits, labels), labels)) < 0.1


def test_noise_both_ways_moves_as_large_a_share_of_either_class():
    joint = np.array([[0.6, 0.1], [0.0, 0.3]])
    both = either_way(joint)
    np.testing.assert_allclose(both.sum(axis=1), joint.sum(axis=1))
    np.testing.assert_allclose(both[0, 1] / 0.7, both[1, 0] / 0.3)


def test_directions_are_not_believed_where_the_joint_explains_next_to_nothing_of_what_is_contradicted():
    logits, labels = two_classes(0.0, 0.01, shift=1.1)  # of those contradicted nearly all are right
    joint = joint_of_labels(logits, labels)
    assert one_way_share(joint, anchors(with_shares(logits, labels), labels)) > 0.6
    # Equal evidence for and against: what remains of the odds is how often each class is believed to be wrong.
    even = np.zeros((2, 2), dtype=np.float32)
    odds = LabelNoise.of(np.concatenate([logits, even]), np.append(labels, [0, 1])).log_odds_of_another_label()
    assert abs(odds[-1] - odds[-2]) < 0.2
    logits, labels = two_classes(0.25, 0.0)
    odds = LabelNoise.of(np.concatenate([logits, even]), np.append(labels, [0, 1])).log_odds_of_another_label()
    assert odds[-1] - odds[-2] > 1


def test_a_direction_that_one_fit_sees_counts_only_as_far_as_all_together_see_it():
    seen = LabelNoise.of(*two_classes(0.25, 0.0))
    unseen = replace(seen, one_way=0.0)
    assert seen.one_way > 0.99
    assert agreement([seen, seen, seen, seen, unseen], [1, 1, 1, 1, 1]) == pytest.approx(1, abs=0.02)
    assert agreement([seen, unseen, unseen], [1, 1, 1]) == 0
    assert 0 < agreement([seen, unseen], [3, 2]) < 1
    # Where it does not count at all, the odds are those of noise both ways.
    alone = seen.log_odds_of_another_label(agreed=0)
    np.testing.assert_allclose(alone, unseen.log_odds_of_another_label())
    assert np.abs(alone - seen.log_odds_of_another_label()).max() > 1


def test_a_corner_of_the_larger_class_full_of_wrong_labels_is_not_taken_for_a_smaller_class_that_loses_samples():
    rng = np.random.default_rng(0)
    part = rng.choice(3, 6000, p=(0.7, 0.1, 0.2))  # of class 0, of class 1, and of class 0 with most labels wrong
    odds = np.array([-2.4, 1.4, 0.6])[part] + 0.5 * rng.normal(size=6000)
    labels = (rng.random(6000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    logits = calibrated(np.stack([0 * odds, odds + 1.0], axis=1).astype(np.float32), labels)
    fit = LabelNoise.of(logits, labels, in_corners=True)
    assert fit.explained * one_way_share(fit.joint, fit.counts) > 0.4
    assert fit.one_way == 0
    # A class that loses samples and is about as large as the one that gains them is believed to.
    assert LabelNoise.of(logits, labels).one_way > 0.5, "where inputs are no columns, nothing has corners"
    assert beyond_corners(np.array([[0.4, 0.1], [0.0, 0.5]])) == 1
    assert beyond_corners(np.array([[0.7, 0.0], [0.1, 0.2]])) == 0


def test_one_class_of_three_that_loses_samples_is_not_taken_for_a_corner_which_takes_from_all():
    inputs = np.random.default_rng(0).normal(size=(2000, 3))
    chances = np.random.default_rng(50)
    true = np.argmax(3 * inputs + chances.gumbel(size=(2000, 3)), axis=1)
    labels = np.where((true == 2) & (chances.random(2000) < 0.45), 0, true)
    logits = discriminant_logits(inputs.astype(np.float32), labels, 3)
    assert LabelNoise.of(logits, labels, in_corners=True).one_way > 0.9
    one_loses = np.array([[0.5, 0.0, 0.0], [0.0, 0.2, 0.0], [0.2, 0.0, 0.1]])
    two_lose = np.array([[0.5, 0.0, 0.0], [0.1, 0.1, 0.0], [0.1, 0.0, 0.2]])
    assert beyond_corners(one_loses) == 1
    assert beyond_corners(two_lose) == 0
    assert beyond_corners(0.8 * two_lose + 0.2 * one_loses) == pytest.approx(0.5)


def average_precision(scores, wrong):
    hits = wrong[np.argsort(-scores, kind="stable")]
    return (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()


@pytest.mark.parametrize("seed", range(3))
def test_a_rare_class_full_of_foreign_labels_is_seen_through(seed):
    rng = np.random.default_rng(seed)
    true = (rng.random(3000) < 1 / 40).astype(np.int64)
    features = (2 * true[:, None] * np.ones(3) + rng.normal(size=(3000, 3))).astype(np.float32)
    given = np.where(rng.random(3000) < 0.1, 1 - true, true)
    logits = np.stack([np.zeros(3000), 0.3 * features.sum(axis=1) - 2.2], axis=1).astype(np.float32)
    scores = oga.oga(sketch_of(features, logits, given))
    assert average_precision(scores, given != true) > 0.9


def test_trees_keep_their_weight_under_a_model_that_tells_more_of_the_labels_than_can_be_known():
    logits, labels = two_classes(0.3, 0.3)
    sketch = sketch_of(logits, logits, labels)
    learnt = logits + 4 * np.eye(2, dtype=np.float32)[labels]
    members = [Member(calibrated(learnt, labels)), Member(calibrated(0.02 * logits, labels) * 0.1, 1.0, sees_rows=True)]
    weights = [member.weight for member in weighed(members, sketch)]
    assert weights == [1.0, 1.0]
    assert weighed([members[0], Member(members[1].logits)], sketch)[1].weight < 0.9
