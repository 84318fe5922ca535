"""The 2-D map of the gradients: PCA at once, UMAP when it is ready."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oga_core.errors import OgaError, unknown

METHODS = ("umap", "pca", "none")
COMPONENTS = 50
FITTED_SAMPLES = 20_000
_WARM_UP_SAMPLES = 300
_BLOCK = 4096
MAX_CORNERS = 2000  # a hand draws no more of them, and the cost grows with their number


def project(vectors: NDArray[np.float32], *, method: str = "umap", seed: int = 0) -> NDArray[np.float32]:
    """Place every sample on a plane, `(n_samples, dim)` to `(n_samples, 2)`.

    `umap` (McInnes et al. 2018, arXiv 1802.03426) runs on the leading 50 principal components, is fitted on 20,000
    samples spread evenly over the data and places the rest between their nearest fitted neighbours.
    Raises `OgaError` for an unknown method.
    """
    if method not in ("umap", "pca"):
        raise unknown("map", method, METHODS)
    reduced = principal_components(vectors, COMPONENTS)
    if method == "pca" or len(reduced) < 15:
        return _two_columns(reduced)
    fitted = np.linspace(0, len(reduced) - 1, min(len(reduced), FITTED_SAMPLES)).astype(np.int64)
    positions = _umap(reduced[fitted], seed)
    return positions if len(fitted) == len(reduced) else _place(reduced, fitted, positions)


def principal_components(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Project on the leading principal components, `(n_samples, min(count, dim))`, signs fixed."""
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    covariance = np.zeros((vectors.shape[1], vectors.shape[1]))
    # Block by block, because the data may be memory-mapped and larger than memory.
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK] - mean
        covariance += block.T @ block
    _, directions = np.linalg.eigh(covariance)
    directions = directions[:, ::-1][:, :count]
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    projected: NDArray[np.float32] = ((vectors - mean) @ directions.astype(np.float32)).astype(np.float32)
    return projected


def warm_up() -> None:
    """Compile UMAP on a little random data, so that the first map does not wait for it."""
    _umap(np.random.default_rng(0).normal(size=(_WARM_UP_SAMPLES, 4)).astype(np.float32), seed=0)


def _umap(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap

        n_neighbors = min(15, len(vectors) - 1)
        epochs = 200 if len(vectors) <= 10_000 else 100
        mapper = umap.UMAP(n_neighbors=n_neighbors, n_epochs=epochs, init="pca", random_state=seed, n_jobs=1)
        return np.asarray(mapper.fit_transform(vectors), dtype=np.float32)


def _place(
    vectors: NDArray[np.float32], fitted: NDArray[np.int64], positions: NDArray[np.float32]
) -> NDArray[np.float32]:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=3).fit(vectors[fitted])
    placed = np.empty((len(vectors), 2), dtype=np.float32)
    for start in range(0, len(vectors), 10_000):
        distance, neighbour = index.kneighbors(vectors[start : start + 10_000])
        weight = 1.0 / np.maximum(distance, 1e-9)
        weight /= weight.sum(axis=1, keepdims=True)
        placed[start : start + 10_000] = (positions[neighbour] * weight[:, :, None]).sum(axis=1)
    placed[fitted] = positions
    return placed


def _two_columns(reduced: NDArray[np.float32]) -> NDArray[np.float32]:
    missing = max(0, 2 - reduced.shape[1])
    return np.pad(reduced[:, :2], ((0, 0), (0, missing)))


def points_in_polygon(points: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Return for `(n, 2)` points whether they lie inside a `(corners, 2)` polygon, by the even-odd rule.

    Points that are not numbers lie outside. Points are sorted by y, so that an edge meets only those beside it.
    """
    place, corners = np.asarray(points), np.asarray(polygon, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1:] != (2,) or not 3 <= len(corners) <= MAX_CORNERS:
        raise OgaError(
            f"A selection is a polygon of 3 to {MAX_CORNERS} corners. Got an array of shape {corners.shape}."
        )
    low, high = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero(((place >= low) & (place <= high)).all(axis=1))
    near = near[np.argsort(place[near, 1])]
    x, y = place[near, 0].astype(np.float64), place[near, 1].astype(np.float64)
    crossed = np.zeros(len(near), dtype=bool)
    heights = np.searchsorted(y, corners[:, 1])
    for i, (x1, y1) in enumerate(corners):
        x0, y0 = corners[i - 1]
        if y0 != y1:
            beside = slice(*sorted((heights[i - 1], heights[i])))
            crossed[beside] ^= x[beside] < x0 + (y[beside] - y0) * ((x1 - x0) / (y1 - y0))
    inside = np.zeros(len(place), dtype=bool)
    inside[near] = crossed
    return inside
