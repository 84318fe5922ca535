"""The 2-D map of the gradients: PCA at once, UMAP when it is ready."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from oga_core.errors import unknown
from oga_core.numerics import Array, Indices, PrincipalAxes, evenly_spaced, principal_axes, slices

METHODS = ("umap", "pca", "none")
COMPONENTS = 50
FITTED_SAMPLES = 20_000
PLACED_AMONG = 5_000
"""Comparing each of a million samples with all that were fitted would take two minutes of a processor."""
_WARM_UP_SAMPLES = 300
FITTED_NEIGHBOURS = 15
_NEIGHBOURS = 3
_PLACED_AT_ONCE = 10_000


def leading_axes(vectors: Array) -> PrincipalAxes:
    """The axes that maps are drawn on, by principal components."""
    return principal_axes(vectors, COMPONENTS)


def project(vectors: Array, *, method: str = "umap", seed: int = 0, axes: PrincipalAxes | None = None) -> Array:
    """Place every sample on a plane, `(n_samples, dim)` to `(n_samples, 2)`.

    `umap` (McInnes et al. 2018, arXiv 1802.03426) runs on the leading 50 principal components, is fitted on 20,000
    samples spread evenly over the data and places the rest between their nearest neighbours among 5,000 of these.
    axes: the `leading_axes`, where they are known. Raises `OgaError` for an unknown method.
    """
    if method not in ("umap", "pca"):
        raise unknown("map", method, METHODS)
    axes = axes or leading_axes(vectors)
    if method == "pca" or len(vectors) < 15:
        return _two_columns(replace(axes, axes=axes.axes[:, :2]).project(vectors).astype(np.float32, copy=False))
    anchors = evenly_spaced(np.arange(len(vectors)), FITTED_SAMPLES)
    reduced = axes.project(vectors[anchors]).astype(np.float32, copy=False)
    positions = _umap(reduced, seed)
    return positions if len(anchors) == len(vectors) else _place(vectors, axes, anchors, reduced, positions)


def warm_up() -> None:
    """Compile UMAP on a little random data, so that the first map does not wait for it."""
    _umap(np.random.default_rng(0).normal(size=(_WARM_UP_SAMPLES, 4)).astype(np.float32), seed=0)


def _umap(vectors: Array, seed: int) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap

        n_neighbors = min(FITTED_NEIGHBOURS, len(vectors) - 1)
        epochs = 200 if len(vectors) <= 10_000 else 100
        mapper = umap.UMAP(
            n_neighbors=n_neighbors,
            n_epochs=epochs,
            init="pca",
            random_state=seed,
            n_jobs=1,
            precomputed_knn=_nearest(vectors, n_neighbors),
        )
        return np.asarray(mapper.fit_transform(vectors), dtype=np.float32)


def _nearest(vectors: Array, count: int) -> tuple[Indices, Array]:
    """The nearest vectors of each, itself the first, and their distances, `(n_samples, count)` each.

    Exact: at so few samples that takes seconds, and the approximate search of UMAP as many only to be compiled.
    """
    from sklearn.neighbors import NearestNeighbors

    distances, nearest = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(vectors).kneighbors(vectors)
    return nearest, distances


def _place(vectors: Array, axes: PrincipalAxes, anchors: Indices, reduced: Array, positions: Array) -> Array:
    """Every vector between the nearest of some anchors, nearer ones counting more; the anchors where they are.

    reduced: the anchors along the axes.
    """
    from sklearn.neighbors import NearestNeighbors

    places = evenly_spaced(np.arange(len(anchors)), PLACED_AMONG)
    index = NearestNeighbors(n_neighbors=_NEIGHBOURS, algorithm="brute").fit(reduced[places])
    placed = np.empty((len(vectors), 2), dtype=np.float32)
    for part in slices(len(vectors), _PLACED_AT_ONCE):
        distance, neighbour = index.kneighbors(axes.project(vectors[part]))
        weight = 1.0 / np.maximum(distance, 1e-9)
        weight /= weight.sum(axis=1, keepdims=True)
        placed[part] = (positions[places[neighbour]] * weight[:, :, None]).sum(axis=1)
    placed[anchors] = positions
    return placed


def _two_columns(reduced: Array) -> Array:
    missing = max(0, 2 - reduced.shape[1])
    return np.pad(reduced[:, :2], ((0, 0), (0, missing)))
