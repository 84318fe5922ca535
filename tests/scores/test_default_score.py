"""The default score and what it rests on, against plain computations."""

from dataclasses import replace

import numpy as np
import pytest
from problems import blobs, sketch_of
from sklearn.linear_model import LogisticRegression

from oga_core.numerics import softmax
from oga_core.scores import ensemble, oga
from oga_core.scores.estimators import discriminant
from oga_core.scores.estimators.calibration import calibrated
from oga_core.scores.estimators.confident import class_thresholds
from oga_core.scores.estimators.confusion import joint_of_labels
from oga_core.scores.estimators.label_noise import LabelNoise
from oga_core.scores.estimators.neighbours import neighbour_logits
from oga_core.scores.out_of_fold import out_of_fold_logits


def average_precision(scores, wrong):
    hits = wrong[np.argsort(-scores, kind="stable")]
    return (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()


@pytest.mark.parametrize("shrinkage", [0.02, 0.35])
def test_leave_one_out_discriminants_are_those_of_fits_without_the_sample(shrinkage, monkeypatch):
    """The covariance without a sample is compared up to the share of its trace, which the closed form keeps."""
    monkeypatch.setattr(discriminant, "PRIOR_SAMPLES", 0.0)
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=60)
    x = (rng.normal(size=(60, 4)) + labels[:, None]).astype(np.float32)
    fit = discriminant._Fit.of(x, labels, 3)
    ours = fit.left_out(x @ fit.axes, labels, shrinkage)
    trace = np.trace(pooled(x, labels)) / 4
    for i in range(0, 60, 7):
        others = np.arange(60) != i
        means = np.stack([x[others & (labels == c)].mean(axis=0) for c in range(3)])
        spread = (1 - shrinkage) * pooled(x[others], labels[others]) * 59 / 60 + shrinkage * trace * np.eye(4)
        away = x[i] - means
        np.testing.assert_allclose(
            ours[i], -0.5 * np.einsum("cd,de,ce->c", away, np.linalg.inv(spread), away), rtol=1e-3
        )


def pooled(x, labels):
    residuals = x - np.stack([x[labels == c].mean(axis=0) for c in range(3)])[labels]
    return (residuals.T @ residuals).astype(float) / len(x)


def test_calibration_finds_the_scale_that_was_lost():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 4)).astype(np.float32)
    drawn = softmax(logits).cumsum(axis=1) < rng.random((20000, 1))
    labels = np.minimum(drawn.sum(axis=1), 3)
    scaled = calibrated(5 * logits, labels)
    ratio = np.ptp(scaled, axis=1) / np.ptp(logits, axis=1)
    assert abs(ratio.mean() - 1) < 0.05


def test_calibration_of_separable_logits_stays_finite():
    labels = np.arange(50) % 2
    assert np.isfinite(calibrated(np.eye(2, dtype=np.float32)[labels] * 9, labels)).all()


def test_the_joint_sees_noise_that_runs_one_way():
    rng = np.random.default_rng(0)
    true = rng.integers(2, size=4000)
    given = np.where((true == 1) & (rng.random(4000) < 0.3), 0, true)
    logits = 4 * np.eye(2, dtype=np.float32)[true] + rng.normal(size=(4000, 2)).astype(np.float32)
    joint = joint_of_labels(logits, given)
    assert joint.sum() == pytest.approx(1, abs=1e-4)
    assert joint[1, 0] == pytest.approx(0.15, abs=0.03)
    assert joint[0, 1] < 0.01


def test_one_way_noise_clears_the_other_way():
    rng = np.random.default_rng(0)
    true = rng.integers(2, size=4000)
    given = np.where((true == 1) & (rng.random(4000) < 0.3), 0, true)
    logits = (1.5 * np.eye(2)[true] + rng.normal(size=(4000, 2))).astype(np.float32)
    odds = LabelNoise.of(logits, given).log_odds_of_another_label()
    margins = logits[np.arange(4000), 1 - given] - logits[np.arange(4000), given]
    assert average_precision(odds, given != true) > average_precision(margins, given != true) + 0.05


def test_a_memorised_model_is_seen_and_its_own_logits_left_out():
    sketch, wrong = blobs(600, flipped=0.2)
    learnt = replace(sketch, logits=9 * np.eye(3, dtype=np.float32)[sketch.given_labels], view_logits=None)
    assert not ensemble.has_memorised(sketch)
    assert ensemble.has_memorised(learnt)
    assert len(ensemble.ensemble(learnt)) == len(ensemble.held_out_fits(learnt)) < len(ensemble.ensemble(sketch))
    assert average_precision(oga.oga(learnt), wrong) > 0.9


@pytest.mark.parametrize("n_features", [30, 600])
def test_leaving_one_out_leaks_no_label_where_features_outnumber_samples(n_features):
    rng = np.random.default_rng(0)
    agreed = []
    for _ in range(5):
        labels, features = rng.integers(3, size=80), rng.normal(size=(80, n_features)).astype(np.float32)
        for x in (features, discriminant.fourier_features(features)):
            agreed.append((discriminant.discriminant_logits(x, labels, 3).argmax(axis=1) == labels).mean())
    assert np.mean(agreed) < 0.5


def rings(n_samples=600, flipped=0.2, seed=0):
    """Two rings that no straight line parts, under a model that knows nothing, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    true, angles = rng.integers(2, size=n_samples), rng.uniform(0, 2 * np.pi, n_samples)
    radius = (1 + 1.5 * true + 0.2 * rng.normal(size=n_samples))[:, None]
    features = (radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32)
    wrong = rng.random(n_samples) < flipped
    sketch = sketch_of(features, 0.1 * features, np.where(wrong, 1 - true, true))
    return replace(sketch, view_logits=None, middle_features=features), wrong


def test_a_kernel_is_one_more_member_where_no_linear_fit_parts_the_classes():
    sketch, wrong = rings()
    assert len(ensemble.held_out_fits(sketch)) == 2
    assert len(ensemble.held_out_fits(blobs(600, flipped=0.2)[0])) == 1
    assert average_precision(oga.oga(sketch), wrong) > 0.8
    assert (
        average_precision(
            LabelNoise.of(ensemble.held_out_fits(sketch)[0], sketch.given_labels).log_odds_of_another_label(), wrong
        )
        < 0.4
    )


def test_clean_samples_help_against_noise_that_runs_one_way():
    sketch, wrong = blobs(900, flipped=0.45)
    clean, _ = blobs(200, flipped=0, seed=1)
    without, with_clean = oga.oga(sketch), oga.oga(sketch, validation=clean)
    assert average_precision(with_clean, wrong) > average_precision(without, wrong)


def test_the_nearest_clean_samples_know_what_no_fit_on_them_does(monkeypatch):
    """A chessboard: neither a line nor the kernel's smooth one parts its squares."""
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 6, size=(3000, 2)).astype(np.float32)
    true = features.astype(np.int64).sum(axis=1) % 2
    wrong = rng.random(3000) < 0.3
    sketch = sketch_of(features, 0.1 * features, np.where(wrong, 1 - true, true))
    sketch = replace(sketch, view_logits=None, middle_features=features)
    training, clean = sketch.take(np.arange(1000)), replace(sketch, given_labels=true).take(np.arange(1000, 3000))
    precision = average_precision(oga.oga(training, validation=clean), wrong[:1000])
    assert precision > 0.8
    monkeypatch.setattr(oga, "CLEAN_WEIGHTS", (1.0, 0.0))
    assert average_precision(oga.oga(training, validation=clean), wrong[:1000]) < 0.5


def test_votes_of_neighbours_are_weighed_by_how_rare_their_class_is():
    references = np.arange(8, dtype=np.float32)[:, None]
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    logits = neighbour_logits(np.array([[0], [5.6]], dtype=np.float32), references, labels, 2, count=3)
    votes = np.array([[3.5, 0.5], [1.5, 2.5]])  # half a vote each beforehand
    np.testing.assert_allclose(np.exp(logits), votes / np.array([7 / 8, 3 / 8]), rtol=1e-5)


def test_a_fit_on_clean_samples_is_scikit_learns_discriminant_analysis(monkeypatch):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    monkeypatch.setattr(discriminant, "SHRINKAGES", (0.0,))
    monkeypatch.setattr(discriminant, "PRIOR_SAMPLES", 0.0)
    rng = np.random.default_rng(0)
    labels, clean_labels = rng.integers(3, size=300), rng.integers(3, size=200)
    x, clean = (np.eye(3, 5)[y] * 2 + rng.normal(size=(len(y), 5)) for y in (labels, clean_labels))
    ours = discriminant.validated_logits(x.astype(np.float32), labels, clean.astype(np.float32), clean_labels, 3)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=np.ones(3) / 3).fit(clean, clean_labels)
    other = theirs.decision_function(x)
    centred = [z - z.mean(axis=1, keepdims=True) for z in (ours, other)]
    assert np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1] > 0.9999


def test_earlier_checkpoints_speak_for_a_memorised_model_only():
    sketch, wrong = blobs(600, flipped=0.2)
    learnt = replace(sketch, logits=9 * np.eye(3, dtype=np.float32)[sketch.given_labels], view_logits=None)
    blurred = replace(learnt, middle_features=np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32))
    early = [replace(sketch, logits=sketch.logits / 2), replace(sketch, logits=sketch.logits)]
    assert (
        average_precision(oga.oga(blurred, checkpoints=early), wrong) > average_precision(oga.oga(blurred), wrong) + 0.2
    )
    np.testing.assert_array_equal(oga.oga(sketch, checkpoints=early), oga.oga(sketch))


@pytest.mark.parametrize("missing", ["view_logits", "middle_features", "features"])
def test_it_works_with_what_there_is(missing):
    sketch, wrong = blobs(400)
    gone = {"view_features": None, missing: None}
    assert average_precision(oga.oga(replace(sketch, **gone)), wrong) > 0.9


def test_a_class_of_one_sample_and_a_class_of_none():
    sketch, _ = blobs(200)
    labels = sketch.given_labels.copy()
    labels[labels == 2] = 1
    labels[0] = 2
    assert np.isfinite(oga.oga(replace(sketch, given_labels=labels))).all()
    labels[0] = 0
    assert np.isfinite(oga.oga(replace(sketch, given_labels=labels))).all()
    assert (ensemble.held_out_fits(replace(sketch, given_labels=labels))[-1].argmax(axis=1) < 2).all()


def test_it_beats_the_papers_detectors_where_classes_overlap():
    from oga_core.scores import compute_scores

    rng = np.random.default_rng(1)
    true = rng.integers(4, size=2000)
    features = np.maximum(np.eye(4, 20)[true] * 2 + rng.normal(size=(2000, 20)), 0).astype(np.float32)
    given = np.where(rng.random(2000) < 0.15, rng.integers(4, size=2000), true)
    head = LogisticRegression().fit(features, given)
    sketch = sketch_of(features, head.decision_function(features).astype(np.float32), given)
    scores = compute_scores(sketch, ["oga", "isolation_forest", "l1_norm", "l2_norm"])[0]
    precisions = {name: average_precision(values, given != true) for name, values in scores.items()}
    assert precisions.pop("oga") > max(precisions.values())


def test_out_of_fold_logits_agree_with_scikit_learns_regression():
    from sklearn.model_selection import cross_val_predict

    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=1500)
    features = (np.eye(3, 6)[labels] * 1.5 + rng.normal(size=(1500, 6))).astype(np.float32)
    sketch = replace(sketch_of(features, features[:, :3], labels), view_features=None)
    theirs = cross_val_predict(LogisticRegression(C=0.1), features, labels, method="decision_function")
    ours = out_of_fold_logits(sketch)
    assert np.corrcoef((ours - ours.mean(1, keepdims=True)).ravel(), theirs.ravel())[0, 1] > 0.99
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.97


def test_out_of_fold_knows_nothing_of_random_labels():
    rng = np.random.default_rng(0)
    labels, features = rng.integers(2, size=300), rng.normal(size=(300, 100)).astype(np.float32)
    logits = out_of_fold_logits(replace(sketch_of(features, features[:, :2], labels), view_features=None))
    assert abs((logits.argmax(1) == labels).mean() - 0.5) < 0.1


def test_class_thresholds_are_mean_self_confidences():
    p = np.array([[0.9, 0.1, 0], [0.5, 0.5, 0], [0.2, 0.8, 0]], dtype=np.float32)
    np.testing.assert_allclose(class_thresholds(p, np.array([0, 0, 1])), [0.7, 0.8, 1.0])
