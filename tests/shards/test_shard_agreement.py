"""Shards that do not belong together, and what a person writes wrongly, are refused in a sentence."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sharded import OPTIONS, TUMOURS, score_shards

from oga_app.cli import main
from oga_core.errors import OgaError
from oga_core.gradients.batches import Part, Shard
from oga_core.shards.marker import MARKER, shard_folder
from oga_core.shards.merge import merge


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Three shards that belong together."""
    run = tmp_path_factory.mktemp("shards")
    score_shards(*TUMOURS, run, OPTIONS, 3)
    return run


@pytest.fixture
def run(shards, tmp_path):
    return shutil.copytree(shards, tmp_path / "run")


def test_a_run_without_shards_is_refused(tmp_path):
    with pytest.raises(OgaError, match="has no finished shards"):
        merge(tmp_path)


def test_missing_shards_are_named(run):
    (shard_folder(run, Shard(2, 3)) / MARKER).unlink()
    with pytest.raises(OgaError, match=r"Of 3 shards 2 is missing. Score it .* --shard 2/3"):
        merge(run)
    (shard_folder(run, Shard(3, 3)) / MARKER).unlink()
    with pytest.raises(OgaError, match=r"Of 3 shards 2, 3 are missing"):
        merge(run)


@pytest.mark.parametrize("name", ["positions.npy", "arrays/logits.npy", "arrays/progress.json", "samples.parquet"])
def test_a_file_that_was_cut_off_is_named(run, name):
    path = shard_folder(run, Shard(2, 3)) / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(OgaError, match=rf"{name} is damaged or was cut off.* score shard 2/3 again"):
        merge(run)


@pytest.mark.parametrize("name", ["arrays/logits.npy", "arrays/sketch.npy", "samples.parquet"])
def test_rows_that_are_missing_are_counted(run, name):
    path = shard_folder(run, Shard(2, 3)) / name
    if path.suffix == ".npy":
        np.save(path, np.load(path)[:-3])
    else:
        pd.read_parquet(path).iloc[:-3].to_parquet(path, index=False)
    with pytest.raises(OgaError, match=rf"{name} has 189 rows and not the 192 .* score shard 2/3 again"):
        merge(run)


def test_shards_of_two_counts_overlap(run):
    score_shards(*TUMOURS, run, OPTIONS, 2, (1,))
    with pytest.raises(OgaError, match="shards of 2 and of 3, which overlap"):
        merge(run)


def test_other_options_are_named(run):
    score_shards(*TUMOURS, run, replace(OPTIONS, seed=7), 3, (2,))
    with pytest.raises(OgaError, match="do not belong together: seed is 3 in one and 7 in the other"):
        merge(run)


def test_other_data_are_refused(run, tmp_path):
    lines = TUMOURS[0].read_text().splitlines()
    other = tmp_path / "tumours.csv"
    other.write_text("\n".join(lines[:-1]))
    score_shards(other, TUMOURS[1], run, OPTIONS, 3, (3,))
    with pytest.raises(OgaError, match="Shards 1/3 and 3/3 do not belong together: the data have changed"):
        merge(run)


def test_another_model_is_refused(run):
    path = shard_folder(run, Shard(3, 3)) / MARKER
    content = json.loads(path.read_text())
    content["record"]["pass_fingerprint"] = "of other weights"
    path.write_text(json.dumps(content))
    with pytest.raises(OgaError, match="the model, the labels or how inputs are prepared have changed"):
        merge(run)


def test_shards_that_hold_the_same_samples_are_refused(run):
    second, third = (shard_folder(run, Shard(number, 3)) for number in (2, 3))
    shutil.copy(second / "positions.npy", third / "positions.npy")
    with pytest.raises(OgaError, match="Two shards hold the same samples"):
        merge(run)


def test_shards_that_kept_a_way_that_another_gave_up_are_done_again(run):
    progress = shard_folder(run, Shard(1, 3)) / "arrays" / "progress.json"
    progress.write_text(json.dumps({**json.loads(progress.read_text()), "given_up": ["hooks"]}))
    with pytest.raises(OgaError, match=r"another way \(hooks\), which is not how 2, 3 of 3 did it"):
        merge(run)
    score_shards(*TUMOURS, run, OPTIONS, 3, (2, 3))
    assert merge(run).info.status == "done"


@pytest.mark.parametrize("text", ["3", "0/4", "5/4", "a/b", "1/", "-1/4", "²/4"])
def test_what_is_no_shard_is_refused_in_a_sentence(text, capsys):
    status = main(["score", str(TUMOURS[0]), "--model", str(TUMOURS[1]), "--run", "r", f"--shard={text}"])
    assert status == 2
    assert f"The shard '{text}' is none" in capsys.readouterr().err


def test_more_shards_than_batches_are_refused(tmp_path):
    with pytest.raises(OgaError, match=r"569 samples are 9 batch\(es\) of 64, too few for 10 shards.*at most 9"):
        score_shards(*TUMOURS, tmp_path, OPTIONS, 10, (1,))


def test_a_shard_does_not_replace_a_run_of_other_data(tmp_path, capsys):
    arguments = ["score", str(TUMOURS[0]), "--model", str(TUMOURS[1]), "--run", str(tmp_path), "--shard", "1/2"]
    assert main([*arguments, "--overwrite"]) == 2
    assert "replaces no run of other data" in capsys.readouterr().err


@pytest.mark.parametrize("spread", [True, False])
def test_shards_are_whole_batches_and_together_all_samples(spread):
    places = [Shard(number, 5).places(1003, 10, spread=spread) for number in range(1, 6)]
    assert sorted(np.concatenate(places)) == list(range(1003))
    for part in places:
        starts = part[np.flatnonzero(np.diff(part, prepend=-2) != 1)]
        assert (starts % 10 == 0).all()
        assert abs(len(part) - 1003 / 5) < 20


def test_a_part_knows_where_its_samples_belong():
    order = np.array([4, 2, 0, 1, 3])
    part = Part(order, np.array([1, 2, 4]))
    assert part.positions.tolist() == [0, 2, 3]
    assert part.positions[part.own_order].tolist() == [2, 0, 3]
    assert part.table.tolist() == [[0, 2], [2, 1], [3, 4]]
