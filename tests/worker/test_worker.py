"""Jobs in the worker: results, errors, limits, crashes; this process survives all of them."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import worker_jobs

from oga_core import files
from oga_core.errors import OgaError
from oga_core.files import scratch_folder
from oga_core.worker import child
from oga_core.worker import supervisor as worker
from oga_core.worker.limits import Cancelled, WorkerError, WorkerFault
from oga_core.worker.supervisor import run_job

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, function in vars(worker_jobs).items():
        if callable(function) and function.__module__ == "worker_jobs":
            monkeypatch.setitem(worker.JOBS, name, f"worker_jobs:{name}")


def run(name: str, arguments: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return run_job(name, arguments or {}, readable=[HERE], **options)


def test_result_and_reports_come_back() -> None:
    reports: list[dict[str, Any]] = []
    result = run("echo", {"numbers": [1, 2.5], "text": "é"}, progress=reports.append)
    assert result["arguments"] == {"numbers": [1, 2.5], "text": "é"}
    assert reports == [{"stage": "echoing", "done": 1, "total": 2}]


def test_secrets_of_the_environment_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    environment = run("echo")["environment"]
    assert "API_TOKEN" not in environment
    assert "OMP_NUM_THREADS" in environment


def test_unknown_job_is_refused() -> None:
    with pytest.raises(OgaError, match=r"Unknown job 'os:system'\. Choose one of: score"):
        run_job("os:system", {})


def test_error_of_the_person_comes_back_with_its_detail() -> None:
    with pytest.raises(OgaError, match=r"^The data has no column 'label'\.$") as caught:
        run("refuse")
    assert caught.value.detail == {"columns": ["text"]}
    assert not isinstance(caught.value, WorkerError)


def test_fault_of_ours_comes_back_with_its_traceback() -> None:
    with pytest.raises(WorkerFault, match=r"(?s)failed while dividing.*worker_jobs\.py.*ZeroDivisionError"):
        run("fault", {"zero": 0})


def test_exit_without_result_shows_last_words() -> None:
    with pytest.raises(WorkerFault, match=r"(?s)exit status 3.*last words"):
        run("leave")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGFPE", "SIGABRT", "SIGBUS"])
def test_crash_is_named(name: str) -> None:
    with pytest.raises(WorkerError, match=rf"crashed \({name}\) while crashing.*dashboard is not affected"):
        run("crash", {"signal": name})


def test_real_segmentation_fault_is_named() -> None:
    with pytest.raises(WorkerError, match=r"crashed \(SIGSEGV\) while reading memory"):
        run("read_null")


def test_kill_by_the_system_is_named() -> None:
    with pytest.raises(WorkerError, match="killed the worker while crashing, most likely because memory ran out"):
        run("crash", {"signal": "SIGKILL"})


def test_a_killed_worker_is_told_while_its_child_holds_the_pipe() -> None:
    stages: list[str] = []
    with pytest.raises(WorkerError, match="killed the worker"):
        run("leave_a_child", progress=lambda message: stages.append(message["stage"]), jail=False)
    child = psutil.Process(int(stages[-1]))
    assert child.status() == psutil.STATUS_SLEEPING
    child.kill()


def test_memory_limit_holds() -> None:
    with pytest.raises(WorkerError, match=r"Out of memory while filling memory: the limit is 0\.5 GB"):
        run("fill_memory", {"bytes": 1 << 30}, memory_gb=0.5)


def test_memory_limit_holds_for_torch() -> None:
    with pytest.raises(WorkerError, match=r"Out of memory while filling memory: the limit is 1\.0 GB"):
        run("fill_memory_with_torch", {"bytes": 4 << 30}, memory_gb=1)


def test_memory_is_watched_from_outside_too() -> None:
    with pytest.raises(WorkerError, match=r"Out of memory while filling memory: the limit is 0\.2 GB"):
        run("fill_shared_memory", {"bytes": 4 << 30}, memory_gb=0.2)


def test_limits_hold_without_the_jail() -> None:
    jail = run("echo", jail=False)["jail"]
    assert (jail["limits"], jail["landlock"], jail["seccomp"]) == (sys.platform != "win32", False, False)
    with pytest.raises(WorkerError, match="Out of memory"):
        run("fill_memory", {"bytes": 1 << 30}, memory_gb=0.5, jail=False)


def test_time_limit_holds(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="Stopped after 1 s while"):
        run("forever", {"folder": str(tmp_path)}, writable=[tmp_path], seconds=1)


def test_silence_is_limited(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no progress for 1 s while"):
        run("forever", {"folder": str(tmp_path)}, writable=[tmp_path], quiet_seconds=1)


def test_a_stage_can_have_a_silence_limit_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="no progress for 1 s while looping"):
        run("forever", {"folder": str(tmp_path)}, writable=[tmp_path], seconds=60, quiet_stages={"looping": 1.0})


def test_the_silence_limit_of_another_stage_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="Stopped after 8 s while looping"):
        run("forever", {"folder": str(tmp_path)}, writable=[tmp_path], seconds=8, quiet_stages={"reading": 0.1})


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), OSError("512 requested and 0 written")])
def test_a_full_disk_is_no_fault_of_ours(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(arguments: dict[str, Any], report: Any) -> None:
        raise error

    monkeypatch.setattr(worker_jobs, "fill", fill, raising=False)
    kind, content = child._outcome({"entry": "worker_jobs:fill", "arguments": {}, "writable": ["/runs/a"]}, print)
    assert kind == "error"
    assert content["message"].startswith("The folder /runs/a cannot be written: No space left on the device.")


def test_a_bus_error_may_be_a_full_disk() -> None:
    with pytest.raises(WorkerError, match="the disk of the run folder is full"):
        run("crash", {"signal": "SIGBUS"})


def test_reports_are_not_silence() -> None:
    with pytest.raises(WorkerError, match="Stopped after 8 s while talking"):
        run("talk_forever", seconds=8, quiet_stages={"talking": 2.0})


def test_cancel_ends_the_worker_and_keeps_its_files(tmp_path: Path) -> None:
    part = tmp_path / "part"
    before = set(psutil.Process().children())
    with pytest.raises(Cancelled, match="What was finished is kept"):
        run("forever", {"folder": str(tmp_path)}, writable=[tmp_path], cancelled=lambda: _is_whole(part))
    assert _is_whole(part)
    assert set(psutil.Process().children()) == before


def _is_whole(part: Path) -> bool:
    return part.exists() and part.read_text() == "done"


def test_garbage_from_a_captured_worker_is_an_error() -> None:
    with pytest.raises(WorkerError, match="answered with something unreadable"):
        run("say_garbage")


def test_worker_that_closes_its_answers_is_ended() -> None:
    with pytest.raises(WorkerError, match="stopped answering while closing everything"):
        run("fall_silent")


def test_a_message_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_MAX_LINE", 1000)
    run("say_too_much", {"bytes": 800})
    with pytest.raises((WorkerError, WorkerFault), match="while starting"):
        run("say_too_much", {"bytes": 2_000_000})


@pytest.mark.parametrize("name", ["forever", "hold_the_interpreter", "take_back_the_signal"])
def test_worker_dies_with_its_parent(name: str, tmp_path: Path) -> None:
    if name != "forever" and sys.platform != "linux":
        pytest.skip("only Linux ends a process whose parent died")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from oga_core.worker import supervisor as worker\n"
        f"worker.JOBS['job'] = 'worker_jobs:{name}'\n"
        "worker.run_job('job', {'folder': sys.argv[2]}, readable=[sys.argv[1]], writable=[sys.argv[2]],\n"
        f"    jail={name != 'take_back_the_signal'})"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(HERE), str(tmp_path)])
    try:
        _wait(lambda: (tmp_path / "part").exists())
        (child,) = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    _wait(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_no_scratch_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run("echo")
    assert list(tmp_path.iterdir()) == []


def test_the_scratch_folder_of_a_killed_parent_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / ".oga-worker.0123456789abcdef.part"
    left.mkdir()
    (left / "cache").touch()
    run("echo")
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_that_is_not_held_yet_is_no_leftover(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held = files._held

    def start_another(folder: Path) -> Any:
        monkeypatch.setattr(files, "_held", held)
        with scratch_folder("oga-worker"):
            assert folder.is_dir()  # the other one has swept the place
        return held(folder)

    monkeypatch.setattr(files, "_held", start_another)
    with scratch_folder("oga-worker") as folder:
        assert folder.is_dir()
    assert not list(tmp_path.iterdir())


def test_importing_the_worker_imports_no_heavy_library() -> None:
    code = "import sys, oga_core.worker.supervisor; print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _wait(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
