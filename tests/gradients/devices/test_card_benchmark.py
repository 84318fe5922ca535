"""The script for the day a card is lent: its cases run on a CPU, and one that fails costs none of the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

WORKER = """
import os, sys, time
sys.path.insert(0, {benchmarks!r})
from cards.isolated import work

def take(job):
    if job == "crashes":
        os._exit(9)
    if job == "hangs":
        time.sleep(60)
    if job == "fails":
        raise ValueError("no such kernel")
    print("{{libraries talk")
    return {{"process": os.getpid()}}

work(sys.argv[1:], take, broken=lambda error: False)
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_a_case_that_fails_or_crashes_costs_no_other(tmp_path: Path) -> None:
    from cards.isolated import run_jobs, write_json

    jobs = ["one", "fails", "two", "crashes", "three"]
    command = [sys.executable, "-c", WORKER.format(benchmarks=str(BENCHMARKS))]
    sizes: list[int] = []

    def after(results: dict[str, dict[str, Any]]) -> None:
        sizes.append(len(results))
        write_json(tmp_path / "results.json", results)

    results = run_jobs(command, jobs, seconds=60, of_one=60, after=after)
    assert list(results) == jobs
    assert results["one"] == results["two"]  # an error leaves the process as it is
    assert results["three"] != results["one"]  # a crash does not
    assert [name for name in jobs if "process" in results[name]] == ["one", "two", "three"]
    assert results["fails"]["error"] == "ValueError: no such kernel"
    assert "code 9" in results["crashes"]["error"]
    assert sizes[:5] == [1, 2, 3, 4, 5]  # known, and written, as they come
    assert json.loads((tmp_path / "results.json").read_text()) == results


def test_a_case_that_hangs_is_stopped() -> None:
    from cards.isolated import run_jobs

    command = [sys.executable, "-c", WORKER.format(benchmarks=str(BENCHMARKS))]
    results = run_jobs(command, ["hangs"], seconds=60, of_one=0.5, after=lambda results: None)
    assert "longer than 0.5 s" in results["hangs"]["error"]


def test_what_there_is_no_time_for_is_named() -> None:
    from cards.isolated import run_jobs

    results = run_jobs([sys.executable, "-c", "1 / 0"], ["one"], seconds=0, of_one=1, after=lambda results: None)
    assert results == {"one": {"error": "no time left"}}


def test_a_case_is_compared_with_float64_and_timed() -> None:
    from cards.measures import build, measure

    cpu = torch.device("cpu")
    case = build("resnet18", small=True, device=cpu)
    case.batch = {name: value[:4] for name, value in case.batch.items()}
    result = measure(case, cpu, "tf32", repeats=1)
    assert result["method"] == "hooks"
    assert result["norms against float64"] < 1e-5
    assert result["forward and backward"]["ratio"] == 1
    assert result["sketch, l2"]["seconds"] > 0
    assert result["channels last"]["norms against float64"] < 1e-5
    assert result["channels last"]["sketch"]["seconds"] > 0
    assert result["samples a second"] > 0
    assert all(p.grad is None for p in case.model.parameters())


def test_a_method_that_fails_leaves_the_others_their_times() -> None:
    from cards.measures import UNIT, measured

    methods = {UNIT: lambda: 1, "rival": lambda: 1 / 0, "sketch": lambda: 2}
    result = measured(methods, torch.device("cpu"), repeats=3)
    assert "ZeroDivisionError" in result["rival"]["error"]
    assert result["sketch"].keys() == {"peak_mb", "seconds", "ratio"}


def test_every_job_of_the_script_is_a_case_or_a_whole_run() -> None:
    from cards.cases import CASES
    from gpu import JOBS, WEIGHTS, WHOLE

    from oga_core.gradients.options import PRECISIONS

    cases = [job.split(", ") for job in JOBS if job not in WHOLE]
    assert {name for name, _ in cases} == CASES.keys()
    assert {precision for _, precision in cases} == {*PRECISIONS, *WEIGHTS}
    assert set(WHOLE) < set(JOBS)


def test_copies_beside_the_work_are_compared_with_those_waited_for(tmp_path: Path, monkeypatch) -> None:
    from cards import transfer_times as times

    from oga_core.gradients import walk

    monkeypatch.setattr(walk, "transfers_for", walk.transfers_for)  # is put back
    monkeypatch.setattr(times, "REPEATS", 1)
    result = times.transfer_times(tmp_path, True, torch.device("cpu"))
    assert result["difference of the ways"] == result["difference of repeats"] == 0
    assert result["waited for"]["seconds"] > 0
    assert result["beside the work"]["seconds"] > 0
