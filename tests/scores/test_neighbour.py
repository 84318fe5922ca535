"""Neighbours against their definition, every gradient written out."""

import numpy as np
import pytest
from problems import blobs

from oga_core.scores import neighbour


def test_gradient_neighbours_compare_gradients_under_every_label(monkeypatch):
    monkeypatch.setattr(neighbour, "NEIGHBOURS", 5)
    sketch, _ = blobs(60)
    under = [
        ((sketch.probabilities - np.eye(3)[c])[:, :, None] * sketch.features[:, None]).reshape(60, -1) for c in range(3)
    ]
    similarity = np.mean([rows @ rows.T for rows in under], axis=0)
    lengths = np.sqrt(np.diag(similarity))
    similarity /= lengths[:, None] * lengths
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1)[:, :5]
    expected = (sketch.given_labels[nearest] != sketch.given_labels[:, None]).mean(axis=1)
    np.testing.assert_allclose(neighbour.gradient_neighbours(sketch), expected)


def test_gradient_neighbours_do_not_see_the_own_label():
    sketch, _ = blobs(300, flipped=0.0)
    before = neighbour.gradient_neighbours(sketch)
    changed = sketch.take(np.arange(300))
    changed.given_labels[7] = (sketch.given_labels[7] + 1) % 3
    after = neighbour.gradient_neighbours(changed)
    assert before[7] < 0.1
    assert after[7] > 0.9


@pytest.mark.parametrize("score", [neighbour.gradient_neighbours, neighbour.feature_neighbours])
def test_wrong_labels_stand_out(score):
    sketch, wrong = blobs(300, flipped=0.2)
    values = score(sketch)
    assert (values[wrong][:, None] > values[~wrong]).mean() > 0.9
