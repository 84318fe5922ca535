"""All shards of a run through an executor: at once, in one line, and merged."""

import argparse
import json
import sys
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from here import score_here, without_workers
from sharded import OPTIONS, TUMOURS, assert_same_run

from oga_app.background.progress import describe
from oga_app.cli import main
from oga_app.commands.workers import workers_of
from oga_core.errors import OgaError
from oga_core.gradients.batches import Shard
from oga_core.shards.executor import PROGRESS, Executor, LocalExecutor, ShardWork, _ProgressFile
from oga_core.shards.marker import markers, shard_folder
from oga_core.shards.merge import merge
from oga_core.shards.ray_executor import RayExecutor, resources_of, slots
from oga_core.shards.spread import ProgressOfAll, take_shards


class Here(Executor):
    """Takes every pass at once, in this process, and notes the ranks."""

    def __init__(self, work, ranks, broken=()):
        super().__init__(work)
        self.ranks = ranks
        self.broken = broken

    def submit(self, rank):
        self.ranks.append(rank)
        future: Future[str] = Future()
        try:
            if rank in self.broken:
                raise OgaError("The disk of this node is full.")
            future.set_result(self.work(rank))
        except OgaError as error:
            future.set_exception(error)
        return future


def spread(run, ranks, *, broken=(), options=OPTIONS, **more):
    executor = partial(Here, ranks=ranks, broken=broken)
    with without_workers():
        take_shards(*TUMOURS, run, options, executor, **{"workers": 2, **more})
    return merge(run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return score_here(*TUMOURS, tmp_path_factory.mktemp("whole") / "run", OPTIONS)


def test_two_workers_on_this_machine_make_the_run_of_one(whole, tmp_path):
    events = []
    executor = partial(LocalExecutor, workers=2)
    take_shards(*TUMOURS, tmp_path / "run", OPTIONS, executor, events.append, workers=2, count=2)
    run = merge(tmp_path / "run")
    assert run.table.equals(whole.table)
    assert run.info.fingerprint == whole.info.fingerprint
    assert "gradients, 2 of 2 shards done" in {event["stage"] for event in events}


def test_there_are_four_shards_a_worker_and_no_more_than_batches(whole, tmp_path):
    ranks = []
    assert_same_run(spread(tmp_path / "run", ranks), whole)
    assert ranks == list(range(8))
    ranks = []
    spread(tmp_path / "other", ranks, options=replace(OPTIONS, batch_size=256), workers=1)
    assert ranks == [0, 1, 2, 3, *range(3)], "3 batches are too few for 4 shards"


def test_a_shard_that_fails_ends_the_run_and_the_same_command_goes_on(whole, tmp_path):
    ranks = []
    with pytest.raises(OgaError, match="disk of this node is full"):
        spread(tmp_path / "run", ranks, broken=(2,), count=3)
    assert [marker.shard.number for _, marker in markers(tmp_path / "run")] == [1, 2]
    assert spread(tmp_path / "run", ranks, count=3).table.equals(whole.table)


def test_shards_of_another_count_are_refused_before_anything_is_done(tmp_path):
    ranks = []
    with pytest.raises(OgaError, match="disk"):
        spread(tmp_path / "run", ranks, broken=(1,), count=2)
    ranks.clear()
    with pytest.raises(OgaError, match="of 2 and of 3, which overlap"):
        spread(tmp_path / "run", ranks, count=3)
    assert ranks == []


def test_shards_are_taken_again_where_one_gave_a_way_up(tmp_path):
    class GivingUp(Here):
        def submit(self, rank):
            future = super().submit(rank)
            if self.ranks == [0, 1]:
                progress = Path(future.result()).parent / "arrays" / "progress.json"
                progress.write_text(json.dumps({**json.loads(progress.read_text()), "given_up": ["hooks"]}))
            return future

    ranks = []
    with without_workers():
        executor = partial(GivingUp, ranks=ranks)
        take_shards(*TUMOURS, tmp_path / "run", OPTIONS, executor, workers=1, count=2)
    assert ranks == [0, 1, 0]
    assert merge(tmp_path / "run").info.status == "done"


def test_the_progress_of_all_is_one_line(tmp_path):
    work = ShardWork("data", None, str(tmp_path), OPTIONS, 4)
    line = ProgressOfAll(work, [0, 1, 2, 3])
    assert describe(line.event(set(), 1.0)) == "gradients, 0 of 4 shards done"
    for rank, done in ((0, 100), (1, 50)):
        file = _ProgressFile(shard_folder(tmp_path, Shard(rank + 1, 4)) / PROGRESS)
        file({"stage": "gradients", "done": done, "total": 100})
        file({"stage": "gradients", "done": done + 1, "total": 100})  # within the second
    event = line.event({0}, 3.0)
    assert (event["done"], event["total"], event["seconds_left"]) == (50, 400, 21.0)
    line.event(set(), 3.0)
    assert describe(line.event({0}, 3.0)) == "gradients, 1 of 4 shards done · 150 of 400 · about 5 s left"


def test_ray_is_asked_for_the_device_and_said_to_be_missing(monkeypatch):
    class Cluster:
        def __init__(self, **resources):
            self.resources = resources

        def cluster_resources(self):
            return self.resources

        def is_initialized(self):
            return True

    for device, cluster, cards, at_once in (
        ("cpu", {"CPU": 6, "GPU": 2}, 0, 6),
        ("auto", {"CPU": 4}, 0, 4),
        ("auto", {"CPU": 6, "GPU": 2}, 1, 2),
        ("cuda:0", {}, 1, 1),
    ):
        monkeypatch.setitem(sys.modules, "ray", Cluster(**cluster))
        assert resources_of(sys.modules["ray"], device)["num_gpus"] == cards
        assert slots(device) == at_once
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OgaError, match="Ray is not installed here"):
        RayExecutor(ShardWork("data", None, "run", OPTIONS, 4))


def test_workers_take_turns_on_the_cards_and_make_the_run_of_one(whole, tmp_path):
    """Two devices of the processor stand for two cards: each has a shard at a time, and the run is the same."""
    at_work = []

    class Seen(ShardWork):
        def __call__(self, rank, cancelled=lambda: False, threads=None):
            device = self.options.device
            assert device not in at_work, "a card has one shard at a time"
            at_work.append(device)
            marker = super().__call__(rank, cancelled, threads)
            at_work.remove(device)
            devices.add(device)
            return marker

    def executor(work):
        return LocalExecutor(Seen(**vars(work)), workers=2, devices=("cpu:0", "cpu:1"))

    devices = set()
    with without_workers():
        take_shards(*TUMOURS, tmp_path / "run", OPTIONS, executor, workers=2, count=3)
    assert devices == {"cpu:0", "cpu:1"}
    assert merge(tmp_path / "run").table.equals(whole.table)


@pytest.mark.parametrize(
    ("device", "more", "devices"), [("cuda", [], 2), ("cuda:1", [], 0), ("cuda", ["--on", "ray"], 0)]
)
def test_cuda_without_a_number_is_all_cards(device, more, devices, monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    taken = []
    monkeypatch.setattr("oga_app.commands.score._score_in_shards", lambda _, choices, cards: taken.append(cards) or {})
    monkeypatch.setattr("oga_app.commands.score._score_whole", lambda *_: taken.append([]) or {})
    main(["score", str(TUMOURS[0]), "--run", str(tmp_path), "--device", device, *more])
    assert taken == [[f"cuda:{index}" for index in range(devices)]]


def test_each_card_has_a_worker(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    flags = argparse.Namespace(device="cuda", on=None, shard=None, overwrite=False, workers=None)
    assert workers_of(flags) == 3
    assert workers_of(argparse.Namespace(**{**vars(flags), "workers": 2})) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--on", "local", "--workers", "0"], "--workers must be 1 or more"),
        (["--on", "local", "--overwrite"], "replace no run of other data"),
        (["--shards", "3"], "for --on local and --on ray"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(words, sentence, tmp_path, capsys):
    assert main(["score", str(TUMOURS[0]), "--model", str(TUMOURS[1]), "--run", str(tmp_path), *words]) == 2
    assert sentence in capsys.readouterr().err
