"""A bundle of outputs is read once, and its arrays are not copied where the samples are all of its rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oga_core.errors import OgaError
from oga_core.gradients.head_pass import outputs_fingerprint
from oga_core.gradients.options import PassOptions
from oga_core.readers import outputs, read_samples
from oga_core.readers.archives import zip_file
from oga_core.readers.outputs import aligned, outputs_of
from oga_core.readers.tables.arrow import ParquetTable


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


def test_features_of_a_large_parquet_file_are_read_by_row_group(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    numbers = np.arange(40, dtype=np.float32).reshape(20, 2)
    columns = {"features": list(numbers), "logits": list(numbers[:, ::-1]), "label": [0, 1] * 10}
    pq.write_table(pa.table(columns), path, row_group_size=6)
    whole = outputs_of(read_samples(path), path)
    monkeypatch.setattr(outputs, "_HELD_BYTES", 10)
    samples = read_samples(path)
    bundle = outputs_of(samples, path)
    read = []
    original = ParquetTable.batches

    def batches(table, names, row_groups):
        read.append(row_groups)
        return original(table, names, row_groups)

    monkeypatch.setattr(ParquetTable, "batches", batches)
    logits, features = aligned(bundle, samples, path)
    assert isinstance(whole.features, np.ndarray)
    assert not isinstance(features, np.ndarray)
    assert features[[7, 3, 8]].tolist() == numbers[[7, 3, 8]].tolist()
    assert read == [[0], [1]]
    assert features[8].tolist() == numbers[8].tolist()
    assert features[-1].tolist() == numbers[-1].tolist()
    assert np.array_equal(features[2:19], numbers[2:19])
    assert read[2:] == [[3], [0], [1], [2], [3]]
    options = PassOptions()
    assert outputs_fingerprint(logits, features, samples.given_labels, options) == outputs_fingerprint(
        whole.logits, whole.features, samples.given_labels, options
    )


@pytest.mark.parametrize("last", [[1.0], [1.0, "x"], None])
def test_rows_of_features_that_do_not_fit_are_refused_in_whatever_row_group(tmp_path, monkeypatch, last):
    monkeypatch.setattr(outputs, "_HELD_BYTES", 10)
    if last == [1.0, "x"]:
        columns = {"features": [["a", "b"]] * 4, "logits": [[0.0, 1.0]] * 4, "label": [0, 1] * 2}
    else:
        columns = {"features": [[1.0, 2.0]] * 3 + [last], "logits": [[0.0, 1.0]] * 4, "label": [0, 1] * 2}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=3)
    with pytest.raises(OgaError, match=r"The (lists in the )?column 'features' of a\.parquet must"):
        read_samples(tmp_path / "a.parquet")


def test_a_mapped_array_that_is_damaged_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.npz", 100)
    content = bytearray(path.read_bytes())
    content[content.index(b"features.npy") + 400] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(zip_file, "_MAPPED_BYTES", 100)
    with pytest.raises(OgaError, match=r"features.npy in a.npz is damaged"):
        read_samples(path)
