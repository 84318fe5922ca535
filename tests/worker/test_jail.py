"""The jail: hostile jobs get nowhere, honest work is not disturbed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oga_core.worker import supervisor as worker
from oga_core.worker.supervisor import run_job

HERE = Path(__file__).parent
NOBODY = 65534
_PATH = os.pathsep.join(sys.path)
# How a way ends that the jail closes: by seccomp, by landlock (the last across folders), or since nothing is there.
REFUSALS = {"EPERM", "EACCES", "ENOSYS", "EXDEV", "ENOENT"}
DRIVERS_NEED = {
    *("sockets: AF_UNIX", "sockets: AF_UNIX datagrams", "sockets: bind", "sockets: listen"),
    *("memory: memfd_create", "writes to /proc: name a thread"),
    "memory: raise own memory",  # they map more than any limit, so only the parent watches
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="landlock and seccomp are Linux's")


@pytest.fixture(params=["root", "nobody"])
def user(request: pytest.FixtureRequest) -> str:
    if request.param == "root" and os.getuid() != 0:
        pytest.skip("root's powers are only root's to try")
    if not _python(request.param):
        pytest.skip("nobody may not run a Python that has what the worker needs")
    return str(request.param)


def _ids(user: str) -> dict[str, Any]:
    is_other = user == "nobody" and os.getuid() == 0
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_other else {}


def _python(user: str) -> str:
    """This Python or the system's, whichever this user may run with the packages of this one."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", "import psutil, oga_core.worker.supervisor"]
        with contextlib.suppress(OSError):
            if subprocess.run(command, capture_output=True, env={"PYTHONPATH": _PATH}, **_ids(user)).returncode == 0:
                return python
    return ""


@pytest.fixture
def folders(user: str) -> Iterator[Path]:
    """Beneath /tmp, since nobody may not pass pytest's own folder."""
    root = Path(tempfile.mkdtemp(prefix="oga-jail-"))
    for name in ("outside/empty", "inside", "readable"):
        (root / name).mkdir(parents=True)
    for name in ("outside/secret", "inside/mine", "readable/data"):
        (root / name).write_text(name)
    if os.getuid() == 0 and user == "nobody":
        for path in [root, *root.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
    yield root
    shutil.rmtree(root)


def attempts(folders: Path, user: str, *, accelerator: bool) -> dict[str, str]:
    """Run the job that tries all ways, as this user, in a process of its own; skips where a layer is missing."""
    command = [_python(user), str(HERE / "try_escapes.py"), str(folders), "accelerator" if accelerator else ""]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": _PATH}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, **_ids(user))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    if not (result["jail"]["landlock"] and result["jail"]["seccomp"]):
        pytest.skip(f"this kernel lacks a layer: {result['jail']}")
    return dict(result["ways"])


@pytest.mark.parametrize("accelerator", [False, True])
def test_no_way_out_works(folders: Path, user: str, accelerator: bool) -> None:
    before = _state(folders)
    outcomes = attempts(folders, user, accelerator=accelerator)
    assert outcomes.pop("processes: cores") == "worked"  # a word only: nothing happens to the parent's cores
    open_ways = {name for name, outcome in outcomes.items() if outcome not in REFUSALS}
    assert {name: outcomes[name] for name in open_ways ^ (DRIVERS_NEED if accelerator else set())} == {}
    assert len(outcomes) > 113
    assert _state(folders) == before


def _state(folders: Path) -> dict[str, Any]:
    """Content, mode, owner, times and attributes of everything outside the job's own folder."""
    state = {}
    for path in [*(folders / "outside").rglob("*"), *(folders / "readable").rglob("*")]:
        status = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        state[path] = (content, status.st_mode, status.st_uid, status.st_mtime_ns, os.listxattr(path))
    return state


def test_what_a_driver_does_works_where_one_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA opens a socket of the machine, listens, and names its threads; none of it leads anywhere."""
    monkeypatch.setitem(worker.JOBS, "drive", "worker_jobs:act_like_a_driver")
    result = run_job("drive", {}, readable=[HERE], accelerator=True)
    if not (result["jail"]["landlock"] and result["jail"]["seccomp"]):
        pytest.skip(f"this kernel lacks a layer: {result['jail']}")
    assert result["name"] == "driver"
    assert result["connect"] == "EPERM"
    assert result["memory"] == 1 << 20


def test_honest_work_is_not_disturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(worker.JOBS, "honest", "worker_jobs:honest_work")
    result = run_job("honest", {"folder": str(tmp_path)}, readable=[HERE], writable=[tmp_path], memory_gb=3)
    assert result["threads"] == 2
    assert result["ran"] == [1]
    assert result["rows"] == [1, 2]
    assert (tmp_path / "whole.npy").exists()
    assert {"/proc/meminfo", "/proc/stat"} <= set(result["held"]), "the kernel forgets these, and with them the rule"


def test_resource_limits_are_lower_than_asked_where_the_system_says_so() -> None:
    import resource

    code = (
        "import resource; from oga_core.worker.jail import set_limits\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "assert set_limits(10**9, 5, 2000, accelerator=False)\n"
        "print(*(resource.getrlimit(limit)[0] for limit in "
        "(resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_CORE)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1000", "5", "1000000000", "0"]
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] != 5
