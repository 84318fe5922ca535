"""What a run of many samples keeps beside its table, so that opening it neither decodes nor sorts."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from good_runs import good_run

from oga_core.errors import OgaError
from oga_core.files import write_whole
from oga_core.runs import folder as folder_module
from oga_core.runs.folder import RunFolder
from oga_core.runs.scored import ScoredRun
from oga_core.runs.stored.decoded import FILE, read_decoded, write_decoded


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that keeps what pages open with, though it has few samples."""
    monkeypatch.setattr(folder_module, "MANY", 1)
    run = RunFolder.open(good_run(tmp_path))
    run.keep_decoded()
    return run


def arrays(run):
    data = ScoredRun(run.path)
    score = data.default_score
    shown = (data.given, data.predicted, data.finding, data.suggestions, data.score(score), data.order(score))
    return data, [*shown, data.rank(score), data.positions, data.wrong_probability, data.ids[:], data.clusters.codes]


def test_what_is_mapped_is_what_is_read(run):
    mapped_data, mapped = arrays(run)
    assert {"sample_id", "given_label", f"order_of_{mapped_data.default_score}"} <= set(mapped_data.columns.decoded)
    (run.path / FILE).unlink()
    data, read = arrays(run)
    assert not data.columns.decoded
    for one, other in zip(mapped, read, strict=True):
        assert np.array_equal(one, other, equal_nan=one is not None and one.dtype.kind == "f") or one is other is None
    assert mapped_data.finding_names == data.finding_names


def test_the_order_of_many_samples_is_not_sorted_again(run, monkeypatch):
    monkeypatch.setattr("oga_core.threshold.ranked.falling", lambda values: pytest.fail("sorted again"))
    data = ScoredRun(run.path)
    assert sorted(data.order(data.default_score)) == list(range(len(data)))


def test_a_table_that_was_written_again_is_read_itself(run):
    table = pd.read_parquet(run.path / "scores.parquet")
    name = f"score_{run.info.default_score}"
    run.write_table(table.assign(**{name: -table[name]}))
    data = ScoredRun(run.path)
    assert not data.columns.decoded
    assert data.order(data.default_score)[0] == table[name].to_numpy().argmin()


@pytest.mark.parametrize("content", [b"", b"no arrow", None])
def test_a_damaged_copy_is_passed_over(run, content):
    whole = (run.path / FILE).read_bytes()
    (run.path / FILE).write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert not ScoredRun(run.path).columns.decoded


def test_places_outside_of_the_run_are_none(run):
    table = run.path / "scores.parquet"
    decoded = read_decoded(run.path / FILE, table)
    name = f"order_of_{run.info.default_score}"
    for wrong in (-1, len(decoded[name])):
        order = decoded[name].to_numpy().copy()
        order[0] = wrong
        changed = {**decoded, name: pa.array(order)}
        write_whole(run.path / FILE, lambda path, changed=changed: write_decoded(path, table, changed))
        data = ScoredRun(run.path)
        assert sorted(data.order(data.default_score)) == list(range(len(data)))


@pytest.mark.parametrize("wrong", [["1"] * 6, [1] * 6, [0.5] * 5])
def test_a_copy_of_another_kind_or_length_is_passed_over(run, wrong):
    table = run.path / "scores.parquet"
    name = f"score_{run.info.default_score}"
    write_whole(run.path / FILE, lambda path: write_decoded(path, table, {name: pa.array(wrong)}))
    data = ScoredRun(run.path)
    assert not data.columns.decoded
    assert np.array_equal(data.score(data.default_score), pd.read_parquet(table)[name])


def test_ids_that_stand_twice_are_not_kept(run):
    table = pd.read_parquet(run.path / "scores.parquet")
    run.write_table(table.assign(sample_id="same"))
    with pytest.raises(OgaError, match="more than once"):
        run.keep_decoded()


def test_few_samples_keep_nothing(tmp_path):
    run = RunFolder.open(good_run(tmp_path))
    run.keep_decoded()
    assert not (run.path / FILE).exists()
