"""Outlier detectors against their definitions, on made clusters and on small classes."""

import numpy as np
import pytest
from problems import blobs
from scipy.stats import rankdata, spearmanr

from oga_core.gradient_sketch import GradientSketch
from oga_core.scores import outlier
from oga_core.scores.estimators import forest


def points(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return GradientSketch(np.zeros(len(rows), dtype=np.int64), rows[:, 0].copy(), rows)


@pytest.mark.parametrize(("share", "shift"), [(0.1, 3), (0.2, 6)])
def test_a_tight_cluster_does_not_hide_itself(share, shift):
    rng, n = np.random.default_rng(1), 1000
    rows, far = rng.normal(size=(n, 8)), np.arange(n) < share * n
    rows[far] = 0.3 * rows[far] + shift
    scores = outlier.mahalanobis(points(rows))
    assert scores[far].min() > np.quantile(scores[~far], 0.99)


def test_mahalanobis_is_robust_to_the_seed_and_the_order():
    rows = np.random.default_rng(0).standard_t(4, size=(400, 6))
    order = np.random.default_rng(1).permutation(400)
    scores = outlier.mahalanobis(points(rows))
    assert spearmanr(scores, outlier.mahalanobis(points(rows), seed=1)).statistic > 0.99
    np.testing.assert_allclose(outlier.mahalanobis(points(rows[order])), scores[order], rtol=1e-3)


def test_norms_of_the_sketch():
    sketch, _ = blobs(60)
    np.testing.assert_allclose(outlier.l1_norm_sketch(sketch), np.abs(sketch.sketch).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(outlier.l2_norm_sketch(sketch), np.linalg.norm(sketch.sketch, axis=1), rtol=1e-5)
    for score, norm in (
        (outlier.l1_norm_sketch_per_class, outlier.l1_norm_sketch),
        (outlier.l2_norm_sketch_per_class, outlier.l2_norm_sketch),
    ):
        scores = score(sketch)
        for label in range(3):
            members = sketch.given_labels == label
            expected = (rankdata(norm(sketch)[members]) - 0.5) / members.sum()
            np.testing.assert_allclose(scores[members], expected)


def test_the_forest_on_the_sketch_of_each_class_apart():
    sketch, _ = blobs(200)
    members = np.flatnonzero(sketch.given_labels == 1)
    scores = outlier.isolation_forest_sketch_per_class(sketch)
    np.testing.assert_allclose(scores[members], outlier.isolation_forest_sketch_per_class(sketch.take(members)))


@pytest.mark.parametrize("score", [outlier.isolation_forest, outlier.isolation_forest_sketch])
def test_two_seeds_of_a_forest_agree(score):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 40)).astype(np.float32)
    sketch = GradientSketch(
        rng.integers(2, size=1000), rows[:, 0].copy(), rows, rng.normal(size=(1000, 2)).astype(np.float32), rows
    )
    assert spearmanr(score(sketch), score(sketch, seed=1)).statistic > 0.93


def test_a_small_class_takes_few_trees(monkeypatch):
    asked = []
    real = outlier.isolation_forest_scores

    def noted(features, n_trees, **options):
        asked.append(n_trees)
        return real(features, n_trees, **options)

    monkeypatch.setattr(outlier, "isolation_forest_scores", noted)
    sketch, _ = blobs(90)
    small = sketch.take(np.flatnonzero(sketch.given_labels > 0)[:40])
    small.given_labels[:] = 2
    small.given_labels[:3] = 1
    outlier.isolation_forest_per_class(small)
    assert asked == [24, 200]


def test_a_leaf_draws_no_features(monkeypatch):
    drawn = []
    real = forest.Features.values

    def noted(self, rows, columns):
        drawn.append(len(rows))
        return real(self, rows, columns)

    monkeypatch.setattr(forest.Features, "values", noted)
    forest.isolation_forest_scores(forest.Features(np.ones((300, 9), dtype=np.float32)), 5)
    assert len(drawn) == forest.DRAWS
