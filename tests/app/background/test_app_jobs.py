"""Scoring in a process of its own: what it is told, how far it is, and how it ends."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import oga_sample_data
from oga_app.background import jobs
from oga_app.cli import _parser
from oga_app.commands.score import score_options
from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.runs.folder import RunFolder

SAMPLES = Path(oga_sample_data.__path__[0])


def finished(run, seconds=120):
    deadline = time.monotonic() + seconds
    while (job := jobs.status(run)).state == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    return job


def test_the_command_holds_every_chosen_option(tmp_path):
    options = ScoreOptions(labels="l.csv", scores=("loss", "margin"), map="pca", force=True, max_samples=5)
    words = jobs.command(tmp_path / "d", tmp_path / "m", tmp_path / "r", options)
    parsed = _parser().parse_args(words[words.index("score") :])
    assert (parsed.labels, parsed.scores, parsed.map, parsed.force) == ("l.csv", ("loss", "margin"), "pca", True)
    assert (parsed.max_samples, parsed.device) == (5, "auto")


def test_what_is_left_at_its_default_wins_over_the_earlier_run(tmp_path):
    """A form in which float32 and all samples are chosen means these, whatever the run before it was scored with."""
    earlier = RunFolder.create(tmp_path / "earlier")
    earlier.update(options={"precision": "bfloat16", "seed": 3, "max_samples": 100, "device": "cuda"})
    words = jobs.command(tmp_path / "d", tmp_path / "m", tmp_path / "r", ScoreOptions(map="pca"), earlier.path)
    parsed = _parser().parse_args(words[words.index("score") :])
    assert parsed.previous == earlier.path
    assert score_options(parsed) == ScoreOptions(map="pca")


def test_a_run_whose_process_is_gone_is_lost(tmp_path):
    created = RunFolder.create(tmp_path / "r")
    created.update(status="running", process=2**22 - 1)
    assert jobs.status(created.path).state == "lost"
    created.update(process=None)
    (created.path / "progress.json").write_text(
        json.dumps({"stage": "gradients", "done": 5, "total": 10, "seconds_left": 3})
    )
    job = jobs.status(created.path)
    assert (job.state, job.share, job.stage, job.seconds_left) == ("running", 0.5, "gradients", 3)


def test_scoring_reports_what_is_wrong(tmp_path):
    (tmp_path / "data.csv").write_text("id,text\n1,a\n")
    (tmp_path / "model.pt2").write_bytes(b"nothing")
    jobs.start(tmp_path / "data.csv", tmp_path / "model.pt2", tmp_path / "run", ScoreOptions(map="none"))
    with pytest.raises(OgaError, match="is being scored already"):
        jobs.start(tmp_path / "data.csv", tmp_path / "model.pt2", tmp_path / "run", ScoreOptions())
    job = finished(tmp_path / "run")
    assert job.state == "failed"
    assert job.error


def test_a_run_is_cancelled_and_continued(tmp_path):
    run, options = tmp_path / "run", ScoreOptions(map="none", scores=("loss",), label_column="diagnosis")
    arguments = (SAMPLES / "tumours.csv", SAMPLES / "tumours.pt2", run, options)
    jobs.start(*arguments)
    while not (run / "progress.json").exists():
        time.sleep(0.05)
    jobs.cancel(run)
    assert finished(run).state == "cancelled"
    jobs.start(*arguments)
    assert finished(run).state == "done"
    assert RunFolder.open(run).info.n_samples == len(RunFolder.open(run).table)


def test_a_map_is_awaited_only_while_its_process_lives(tmp_path):
    run = RunFolder.create(tmp_path / "r")
    words = [sys.executable, "-c", "import time; time.sleep(60)", str(run.path)]
    with subprocess.Popen(words) as process:
        run.update(status="done", process=process.pid, options={"map": "umap"}, map="pca")
        assert jobs.map_is_coming(run.path)
        run.update(map="umap")
        assert not jobs.map_is_coming(run.path)
        run.update(map="pca")
        process.kill()
    assert not jobs.map_is_coming(run.path)


def test_a_run_that_is_gone_when_its_process_ends_is_left_alone(tmp_path):
    run = RunFolder.create(tmp_path / "run")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        run.update(status="running", process=process.pid)
        (run.path / "run.json").write_text("{", encoding="utf-8")
        jobs._reap(process, run)
    assert (run.path / "run.json").read_text(encoding="utf-8") == "{"
