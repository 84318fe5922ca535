import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.map import projection


def clusters(n: int = 120, dim: int = 20) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    label = random.integers(0, 3, n)
    centres = 6 * random.normal(size=(3, dim))
    return (centres[label] + random.normal(size=(n, dim))).astype(np.float32), label


def separation(positions: np.ndarray, label: np.ndarray) -> float:
    centres = np.array([positions[label == c].mean(axis=0) for c in range(3)])
    inside = np.mean([positions[label == c].std() for c in range(3)])
    between = min(np.linalg.norm(centres[a] - centres[b]) for a in range(3) for b in range(a))
    return float(between / inside)


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_clusters_stay_apart_and_the_map_repeats(method):
    vectors, label = clusters()
    positions = projection.project(vectors, method=method, seed=3)
    assert positions.shape == (120, 2)
    assert separation(positions, label) > 1.5
    np.testing.assert_array_equal(positions, projection.project(vectors, method=method, seed=3))


def test_many_samples_are_placed_between_their_fitted_neighbours(monkeypatch):
    monkeypatch.setattr(projection, "FITTED_SAMPLES", 60)
    vectors, label = clusters()
    positions = projection.project(vectors, method="umap")
    assert np.isfinite(positions).all()
    assert separation(positions, label) > 1.5


@pytest.mark.parametrize(("n", "dim"), [(1, 4), (5, 1), (3, 3)])
def test_small_data_has_a_map_too(n, dim):
    positions = projection.project(np.ones((n, dim), dtype=np.float32))
    assert positions.shape == (n, 2)
    assert np.isfinite(positions).all()


def test_unknown_method_is_named():
    with pytest.raises(OgaError, match=r"Unknown map 'tsne'\. Choose one of: umap, pca, none"):
        projection.project(np.ones((3, 3), dtype=np.float32), method="tsne")


def test_axes_that_are_known_are_not_worked_out_again(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    expected = projection.project(vectors, method="pca")
    axes = projection.leading_axes(vectors)
    monkeypatch.setattr(projection, "principal_axes", None)
    assert np.array_equal(projection.project(vectors, method="pca", axes=axes), expected)
