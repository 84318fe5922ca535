"""What is done otherwise where there are many samples gives what the plain way gives."""

import mmap
import time

import numpy as np
import psutil
import pytest
from problems import blobs

from oga_core.gradient_sketch import letting_go
from oga_core.scores import heads, outlier
from oga_core.scores.estimators import calibration, confusion, forest, min_cov_det
from oga_core.scores.estimators.calibration import calibrated
from oga_core.scores.estimators.discriminant import discriminant_logits
from oga_core.scores.estimators.forest import Features, isolation_forest_scores
from oga_core.scores.estimators.neighbours import distances_to_references
from oga_core.scores.feature_rows import FourierRows


@pytest.mark.parametrize("count", [1, 4, 50])
def test_distances_are_to_the_nearest_other_references(count):
    points = np.random.default_rng(0).standard_normal((40, 3))
    points[7] = points[3]  # a twin, at no distance, is another reference
    references = np.array([3, 7, 11, 20, 39])
    whole = np.linalg.norm(points[:, None] - points[references], axis=2)
    whole[references, np.arange(5)] = np.inf
    for row in range(40):
        others = np.sort(whole[row][np.isfinite(whole[row])])[: min(count, 4)]
        assert distances_to_references(points, references, count=count)[row] == pytest.approx(others.mean(), abs=1e-3)


def test_one_reference_is_no_neighbour_of_itself():
    distances = distances_to_references(np.array([[0.0], [3.0]]), np.array([0]), count=10)
    assert distances.tolist() == [0.0, 3.0]


def test_a_forest_in_threads_scores_as_in_one(monkeypatch):
    import torch

    rows = Features(np.random.default_rng(0).standard_normal((3000, 6)).astype(np.float32))
    scores = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        scores.append(isolation_forest_scores(rows, 20, seed=1))
    np.testing.assert_array_equal(*scores)


def test_a_fit_in_threads_is_that_in_one(monkeypatch):
    import torch

    sketch, _ = blobs(9_000)
    logits = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        logits.append(discriminant_logits(FourierRows.of(sketch.features), sketch.given_labels, 3))
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("with_left", [True, False])
def test_a_compiled_forest_scores_as_numpy_does(monkeypatch, with_left):
    random = np.random.default_rng(0)
    left = random.standard_normal((900, 3)).astype(np.float32) if with_left else None
    rows = Features(random.standard_normal((900, 40)).round(1).astype(np.float32), left)
    plain = isolation_forest_scores(rows, 60, seed=1)
    monkeypatch.setattr(forest, "COMPILED_FROM", 1)
    np.testing.assert_array_equal(isolation_forest_scores(rows, 60, seed=1), plain)


def test_a_forest_of_a_class_is_that_of_its_samples_alone():
    sketch, _ = blobs(400)
    scores = outlier.isolation_forest_sketch_per_class(sketch)
    members = np.flatnonzero(sketch.given_labels == 1)
    alone = outlier.isolation_forest_sketch_per_class(sketch.take(members))
    np.testing.assert_array_equal(scores[members], alone)


def test_features_that_are_whitened_anew_in_each_step_train_the_same_heads(monkeypatch):
    sketch, _ = blobs(900)
    arguments = sketch.features, sketch.given_labels, 3, np.arange(900)
    held = heads.held_out_logits(*arguments)
    monkeypatch.setattr(heads, "HELD", 0)
    np.testing.assert_allclose(heads.held_out_logits(*arguments), held, atol=1e-5)


def test_the_centre_of_a_sample_is_about_that_of_all(monkeypatch):
    points = np.random.default_rng(0).standard_normal((6000, 4)).astype(np.float32)
    points[:600] += 6
    order = np.random.default_rng(1).permutation(6000)
    whole = min_cov_det.robust_distances(points, order, 0)
    monkeypatch.setattr(min_cov_det, "FITTED", 3000)
    sampled = min_cov_det.robust_distances(points, order, 0)
    assert sampled[:600].min() > np.quantile(sampled[600:], 0.99)
    np.testing.assert_allclose(sampled, whole, rtol=0.2)


def test_a_joint_of_labels_is_that_of_a_sample_of_them(monkeypatch):
    sketch, _ = blobs(6000)
    logits = calibrated(sketch.logits, sketch.given_labels)
    whole = confusion.joint_of_labels(logits, sketch.given_labels)
    monkeypatch.setattr(confusion, "FITTED_SAMPLES", 3000)
    sampled = confusion.joint_of_labels(logits, sketch.given_labels)
    assert not np.array_equal(sampled, whole)
    np.testing.assert_allclose(sampled, whole, atol=0.01)


def test_the_scale_of_logits_is_that_of_a_sample_of_them(monkeypatch):
    sketch, _ = blobs(6000)
    labels = sketch.given_labels
    whole = calibrated(sketch.logits, labels)
    monkeypatch.setattr(calibration, "FITTED_SAMPLES", 3000)
    sampled = calibrated(sketch.logits, labels)
    assert sampled.shape == whole.shape
    np.testing.assert_allclose(sampled, whole, rtol=0.1, atol=1e-6)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system takes no such advice")
def test_what_was_read_of_a_file_does_not_stay_in_memory(tmp_path):
    np.save(tmp_path / "rows.npy", np.ones(4 << 20))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    before = psutil.Process().memory_info().shared
    total = rows.sum()
    assert psutil.Process().memory_info().shared - before > 24 << 20
    deadline = time.monotonic() + 20
    with letting_go([rows]):
        while psutil.Process().memory_info().shared - before > 8 << 20:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert rows.sum() == total
