"""Files of another kind among images, singly and in a batch, by what they look like."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from problems import blobs

from oga_core.findings.foreign import foreign
from oga_core.findings.kinds import STRANGE, find
from oga_core.tasks.looks import looks

N = 600


def natural(rng, count):
    """Images whose power falls with the square of the frequency, in colours that go together."""
    frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    fall = 1 / np.maximum(frequency, 1 / 32) ** rng.normal(1, 0.1, (count, 1, 1, 1))
    waves = np.fft.ifft2(np.fft.fft2(rng.normal(size=(count, 3, 32, 32))) * fall).real
    waves = waves.mean(axis=1, keepdims=True) + rng.uniform(0.1, 0.4, (count, 1, 1, 1)) * waves
    return 0.3 * waves / waves.std(axis=(1, 2, 3), keepdims=True) + rng.normal(0, 0.3, (count, 3, 1, 1))


def looks_of(images):
    return looks({"images": torch.from_numpy(images).float()})["looks"].numpy()


def plain(rng, count):
    return np.broadcast_to(rng.normal(0, 0.3, (count, 3, 1, 1)), (count, 3, 32, 32)).copy()


def noise(rng, count):
    return rng.normal(0, 0.5, (count, 3, 32, 32))


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", [plain, noise])
@pytest.mark.parametrize("count", [2, 30])
def test_images_of_another_kind_are_foreign_singly_and_in_a_batch(kind, count):
    rng = np.random.default_rng(1)
    seen = looks_of(np.concatenate([natural(rng, N), kind(rng, count)]))
    features = rng.normal(size=(len(seen), 20)).astype(np.float32)
    is_foreign, unusualness = foreign(features, seen, rng.permutation(len(seen)))
    assert is_foreign[N:].mean() > 0.9
    assert is_foreign[:N].mean() < 0.02
    assert np.median(unusualness[N:]) > np.quantile(unusualness[:N], 0.99)


def test_the_finding_uses_the_looks(rng):
    sketch, _ = blobs(N, flipped=0.0)
    images = natural(rng, N)
    images[:2] = noise(rng, 2)
    assert STRANGE not in find(sketch).kind
    kinds = find(replace(sketch, looks=looks_of(images))).kind
    assert kinds[:2].tolist() == [STRANGE, STRANGE]
    assert (kinds[2:] == STRANGE).sum() <= 6


def test_where_nothing_is_foreign_hardly_anything_is_called_so():
    called = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(N, 20)).astype(np.float32)
        called.append(foreign(features, looks_of(natural(rng, N)), np.arange(N))[0].sum())
    assert np.mean(called) <= 2


def test_looks_tell_contrast_detail_and_colour_whatever_the_size(rng):
    images = natural(rng, 40)
    large = np.repeat(np.repeat(images, 3, axis=2), 3, axis=3)
    np.testing.assert_allclose(looks_of(large), looks_of(images), atol=1e-3)
    seen = looks_of(np.concatenate([images, 0.5 * images]))
    np.testing.assert_allclose(seen[:40, 0] - seen[40:, 0], np.log(2), atol=0.1)
    assert (looks_of(noise(rng, 40))[:, 1:4].mean(axis=0) > seen[:, 1:4].max(axis=0)).all()
    assert looks_of(images[:, :1]).shape == (40, 13)
    assert np.isfinite(looks_of(plain(rng, 3))).all()
    assert looks({"images": torch.zeros(2, 3, 8, 8)}) == {}
    assert looks({"input_ids": torch.zeros(2, 3)}) == {}


def test_a_few_samples_are_not_enough_to_tell():
    is_foreign, unusualness = foreign(np.eye(20, dtype=np.float32), None, np.arange(20))
    assert not is_foreign.any()
    assert not unusualness.any()
