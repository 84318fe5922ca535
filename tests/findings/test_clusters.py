"""Clusters on the map: found where they are, and named by what is true of most of their samples."""

import numpy as np
import pytest

from oga_core.findings.clusters import Shared, both, find_clusters, named_clusters, pairs

CLASSES = ("cat", "dog", "owl")


def islands(sizes=(300, 200, 100), seed=0):
    """Points around places far from one another, and the island of each."""
    random = np.random.default_rng(seed)
    island = np.repeat(np.arange(len(sizes)), sizes)
    return (random.normal(size=(len(island), 2)) * 0.3 + island[:, None] * 10).astype(np.float32), island


def test_no_cluster_reaches_over_two_islands():
    positions, island = islands()
    codes = find_clusters(positions)
    for number in range(3):
        assert (codes[island == number] >= 0).mean() > 0.9
    assert not set(codes[island == 0]) & set(codes[island == 1]) - {-1}


def test_points_that_were_not_fitted_go_with_their_nearest():
    positions, island = islands((9000, 6000))
    codes = find_clusters(positions)
    assert len(set(codes[island == 0]) & set(codes[island == 1]) - {-1}) == 0
    assert (codes >= 0).mean() > 0.9
    assert (find_clusters(positions) == codes).all()


def test_points_without_a_place_and_small_maps_are_in_no_cluster():
    positions, _ = islands()
    positions[:10] = np.nan
    assert (find_clusters(positions)[:10] == -1).all()
    assert (find_clusters(positions[10:40]) == -1).all()
    assert (find_clusters(np.zeros((100, 2), dtype=np.float32)) >= -1).all()


def named(given, other, findings=None):
    positions, island = islands()
    findings = np.full(len(island), -1) if findings is None else findings[island]
    shared = (
        pairs(given[island], other[island], CLASSES),
        Shared(findings, lambda code: ("near-duplicate",)[code]),
        Shared(given[island], CLASSES.__getitem__),
    )
    return named_clusters(island, positions, shared), positions, island


def test_clusters_named_by_some_samples_hold_all_of_theirs():
    positions, island = islands()
    codes = np.where(np.arange(600) % 7, island, -1)
    rows = np.arange(0, 600, 5)
    clusters = named_clusters(codes, positions, [Shared(island[rows], CLASSES.__getitem__)], rows)
    assert clusters.names == CLASSES
    assert (clusters.codes == codes).all()
    for number, place in enumerate(clusters.places):
        assert np.hypot(*(np.array(place) - 10 * number)) < 0.3


def test_a_cluster_bears_its_confused_pair_else_its_finding_else_its_label():
    clusters, _, island = named(np.array([0, 1, 2]), np.array([1, -1, -1]), findings=np.array([-1, 0, -1]))
    assert clusters.names == ("cat → dog", "near-duplicate", "owl")
    assert (clusters.codes == island).all()
    for number, place in enumerate(clusters.places):
        assert np.hypot(*(np.array(place) - 10 * number)) < 0.3


def test_clusters_of_one_name_are_one_where_the_larger_lies():
    clusters, _, island = named(np.array([0, 1, 0]), np.array([-1, -1, -1]))
    assert clusters.names == ("cat", "dog")
    assert (clusters.codes == np.array([0, 1, 0])[island]).all()
    assert np.hypot(*clusters.places[0]) < 0.3


def test_a_finding_is_named_with_the_label_where_both_dominate():
    findings, labels = np.array([0, 0, -1]), np.array([1, 2, 2])
    shared = both(findings, ("near-duplicate",), labels, CLASSES)
    assert shared.dominant(np.array([0])) == "dog, near-duplicate"
    assert shared.dominant(np.array([0, 1])) == "dog, near-duplicate"
    assert shared.dominant(np.array([2])) == ""


def test_a_cluster_that_shares_nothing_has_no_name():
    positions, island = islands()
    mixed = np.arange(len(island)) % 3
    clusters = named_clusters(island, positions, (Shared(mixed, CLASSES.__getitem__),))
    assert clusters.names == ()
    assert (clusters.codes == -1).all()


@pytest.mark.parametrize("codes", [np.full(600, -1), np.zeros(600, dtype=np.int64)])
def test_one_cluster_or_none(codes):
    positions, _ = islands()
    clusters = named_clusters(codes, positions, (Shared(np.zeros(600, dtype=np.int64), CLASSES.__getitem__),))
    assert clusters.names == (("cat",) if codes[0] == 0 else ())


def test_a_cluster_that_no_naming_row_is_in_is_none():
    found = np.array([0.0] * 40 + [3.0, np.nan])
    rows = np.arange(40)
    shared = [Shared(np.zeros(40, dtype=np.int64), CLASSES.__getitem__)]
    clusters = named_clusters(found, np.zeros((42, 2)), shared, rows)
    assert clusters.codes.tolist() == [0] * 40 + [-1, -1]
