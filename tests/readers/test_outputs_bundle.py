"""A bundle of outputs is read once, and its arrays are not copied where the samples are all of its rows."""

import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.readers import read_samples
from oga_core.readers.archives import zip_file
from oga_core.readers.outputs import aligned, outputs_of


def write(path, n_samples=6):
    features = np.arange(2 * n_samples, dtype=np.float32).reshape(n_samples, 2)
    np.savez(path, features=features, logits=features[:, ::-1], labels=np.arange(n_samples) % 2)
    return path


def test_the_samples_own_bundle_is_not_read_again(tmp_path):
    path = write(tmp_path / "a.npz")
    samples = read_samples(path)
    bundle = outputs_of(samples, path)
    assert outputs_of(samples.take(np.array([1, 3])), path) is bundle
    assert aligned(bundle, samples, path)[1] is bundle.features
    assert outputs_of(samples, write(tmp_path / "b.npz")) is not bundle


def test_some_rows_keep_their_order(tmp_path):
    path = write(tmp_path / "a.npz")
    few = read_samples(path).take(np.array([3, 1]))
    logits, features = aligned(outputs_of(few, path), few, path)
    assert features.tolist() == [[6, 7], [2, 3]]
    assert logits.tolist() == [[7, 6], [3, 2]]


def test_large_arrays_are_mapped_and_equal_those_that_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.npz", 100)
    read = outputs_of(read_samples(path), path)
    monkeypatch.setattr(zip_file, "_MAPPED_BYTES", 100)
    mapped = outputs_of(read_samples(path), path)
    assert isinstance(mapped.features, np.memmap)
    assert not isinstance(read.features, np.memmap)
    assert np.array_equal(mapped.features, read.features)
    assert np.array_equal(mapped.logits, read.logits)


def test_a_mapped_array_that_is_damaged_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.npz", 100)
    content = bytearray(path.read_bytes())
    content[content.index(b"features.npy") + 400] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(zip_file, "_MAPPED_BYTES", 100)
    with pytest.raises(OgaError, match=r"features.npy in a.npz is damaged"):
        read_samples(path)
