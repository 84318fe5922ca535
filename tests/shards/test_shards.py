"""What shards leave is, merged, what one process leaves; a shard that was killed is done again alone."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from here import score_here
from language_models import llama_folder
from mask_runs import SmallSegmenter, members_of, packaged, write_zip
from mask_sets import shapes
from safetensors.torch import save_file
from sharded import OPTIONS, TUMOURS, assert_same_run, merged, score_shards, write_outputs
from tagged_runs import save_tagger, sentences, write_jsonl

from oga_core.errors import OgaError
from oga_core.gradients.batches import Shard
from oga_core.models import load_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder
from oga_core.shards.marker import markers, shard_folder
from oga_core.shards.merge import merge
from oga_core.shards.scoring import score_shard


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> RunFolder:
    return score_here(*TUMOURS, tmp_path_factory.mktemp("whole") / "run", OPTIONS)


def test_merged_shards_of_a_table_equal_one_run_and_its_pass_is_not_taken_again(whole, tmp_path):
    run = merged(*TUMOURS, tmp_path / "run", OPTIONS, 4)
    assert_same_run(run, whole)
    events: list[dict[str, Any]] = []
    again = score_here(*TUMOURS, run.path, OPTIONS, events.append)
    assert not [event for event in events if event["stage"] == "gradients" and "done" in event]
    assert_same_run(again, whole)


def test_merged_shards_of_rows_by_length_equal_one_run_with_token_losses_and_rows_left_out(tmp_path):
    rows = [{"prompt": "say", "completion": " fox" * (1 + i * 7 % 11)} for i in range(23)]
    for row in (5, 20):
        rows[row]["prompt"] = "say" * 60  # the completion is beyond what the model sees, so nothing is trained on
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    model = llama_folder(tmp_path / "model")
    options = ScoreOptions(map="none", scores=("loss",), batch_size=4, sketch_dim=16)
    one = score_here(data, model, tmp_path / "one", options)
    assert (one.info.n_samples, len(one.info.problems)) == (21, 2)
    assert_same_run(merged(data, model, tmp_path / "merged", options, 3), one)


def test_merged_shards_of_tagged_words_equal_one_run(tmp_path):
    tagged = sentences(n=24)
    tagged.words[3][0] = " "  # a word without a token, which has no score
    data = write_jsonl(tmp_path / "tagged.jsonl", tagged)
    model = save_tagger(tmp_path / "model", tagged, epochs=0)
    options = ScoreOptions(map="none", scores=("loss",), batch_size=4, sketch_dim=16)
    one = score_here(data, model, tmp_path / "one", options)
    assert one.info.target == "tags"
    assert_same_run(merged(data, model, tmp_path / "merged", options, 3), one)


def test_merged_shards_of_masks_equal_one_run_and_a_file_that_was_cut_off_is_named(tmp_path):
    members = members_of(shapes(n=21))
    members["masks/s05.png"] = members["masks/s05.png"][:60]  # cannot be read, so it has no result
    data = write_zip(tmp_path / "shapes.zip", members)
    model = packaged(SmallSegmenter().eval(), tmp_path / "shapes.pt2")
    options = ScoreOptions(map="none", scores=("oga", "loss"), batch_size=4, sketch_dim=16)
    one = score_here(data, model, tmp_path / "one", options)
    assert (one.info.target, one.info.n_samples) == ("mask", 20)
    score_shards(data, model, tmp_path / "merged", options, 3)
    packed = shard_folder(tmp_path / "merged", Shard(2, 3)) / "arrays" / "masks.zlib"
    content = packed.read_bytes()
    packed.write_bytes(content[:-1])
    with pytest.raises(OgaError, match=r"masks\.zlib is damaged or was cut off.* score shard 2/3 again"):
        merge(tmp_path / "merged")
    packed.write_bytes(content)
    assert_same_run(merge(tmp_path / "merged"), one)


def test_merged_shards_of_outputs_equal_one_run(tmp_path):
    data = write_outputs(tmp_path / "outputs.npz", 17_000)
    options = ScoreOptions(map="none", scores=("loss", "margin"))
    one = score_here(data, None, tmp_path / "one", options)
    assert_same_run(merged(data, None, tmp_path / "merged", options, 3), one)


def test_merged_shards_with_checkpoints_and_clean_data_equal_one_run(tmp_path, whole):
    clean = tmp_path / "clean.csv"
    clean.write_text("\n".join(TUMOURS[0].read_text().replace("diagnosis", "label").splitlines()[:40]))
    weights = tmp_path / "early.safetensors"
    save_file({name: value / 2 for name, value in load_model(TUMOURS[1]).module.state_dict().items()}, weights)
    options = replace(OPTIONS, map="none", scores=("tracin_cp",), checkpoints=(str(weights),), validation=str(clean))
    one = score_here(*TUMOURS, tmp_path / "one", options)
    assert_same_run(merged(*TUMOURS, tmp_path / "merged", options, 2), one)


KILLER = """
import os, signal, sys
from pathlib import Path
from here import without_workers
from oga_core.gradients.batches import Shard
from oga_core.shards.scoring import score_shard
sys.path.insert(0, sys.argv[4])
from sharded import OPTIONS
data, model, run = map(Path, sys.argv[1:4])
kill = lambda event: event.get("done", 0) >= 64 and os.kill(os.getpid(), signal.SIGKILL)
with without_workers():
    score_shard(data, model, run, OPTIONS, Shard(2, 3), kill)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_shard_that_is_killed_is_done_again_alone_and_in_the_jail(whole, tmp_path):
    run = tmp_path / "run"
    score_shards(*TUMOURS, run, OPTIONS, 3, (1, 3))
    others = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    code = [sys.executable, "-c", KILLER, *map(str, TUMOURS), str(run), str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(code, capture_output=True, check=False, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert [marker.shard.number for _, marker in markers(run)] == [1, 3]
    score_shard(*TUMOURS, run, OPTIONS, Shard(2, 3), threads=1)
    assert {path: path.stat().st_mtime_ns for path in others} == others
    jail = markers(run)[1][1].record["jail"]
    assert jail["limits"]
    assert jail["missing"] or (jail["landlock"] and jail["seccomp"])
    joined = merge(run)
    assert joined.table.equals(whole.table)
    assert not (run / "shards").exists()


def test_a_shard_that_is_done_is_not_done_again_where_nothing_has_changed(tmp_path, monkeypatch):
    from oga_core.gradients import passes

    score_shards(*TUMOURS, tmp_path, OPTIONS, 3, (2,))
    folder = shard_folder(tmp_path, Shard(2, 3))
    before = (folder / "arrays" / "losses.npy").read_bytes()
    monkeypatch.setattr(passes, "_walk", None)  # what takes the batches
    score_shards(*TUMOURS, tmp_path, OPTIONS, 3, (2,))
    assert (folder / "arrays" / "losses.npy").read_bytes() == before
    with pytest.raises(TypeError, match="NoneType"):
        score_shards(*TUMOURS, tmp_path, replace(OPTIONS, seed=4), 3, (2,))
    assert [marker.shard for _, marker in markers(tmp_path)] == [Shard(2, 3)], (
        "what was done stays until it is replaced"
    )
