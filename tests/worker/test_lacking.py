"""Where the kernel lacks a layer of the jail, everybody who relies on it is told, and others may not score."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oga_core.worker import system_calls

HERE = Path(__file__).parent
SAMPLES = HERE.parents[1] / "sample_data"
_COLUMN = 0 if os.uname().machine == "x86_64" else 1
LANDLOCK = "444"
SECCOMP = str(system_calls.SECCOMP[_COLUMN])
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="landlock and seccomp are Linux's")


def lacking(calls: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python where these calls are not known."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, str(HERE / "lacking.py"), calls, sys.executable, *command]
    return subprocess.run(words, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("calls", "layers", "sentence"),
    [
        (LANDLOCK, {"landlock": False, "seccomp": True}, "can open every file that you can"),
        (SECCOMP, {"landlock": True, "seccomp": False}, "can reach the network"),
    ],
)
def test_a_missing_layer_is_said(calls: str, layers: dict[str, bool], sentence: str) -> None:
    code = "import json; from oga_core.worker.inspection import jail_here; print(json.dumps(jail_here()))"
    done = lacking(calls, "-c", code)
    assert done.returncode == 0, done.stderr
    jail = json.loads(done.stdout)
    assert {name: jail[name] for name in layers} == layers
    assert len(jail["missing"]) == 1
    assert sentence in jail["missing"][0]


def test_a_run_without_landlock_says_so_everywhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["score", str(SAMPLES / "tumours.csv"), "--model", str(SAMPLES / "tumours.pt2"), "--run", str(run)]
    done = lacking(LANDLOCK, "-m", "oga_app.cli", *words, "--label-column", "diagnosis", "--map", "none", "--json")
    assert done.returncode == 0, done.stderr
    (missing,) = json.loads((run / "run.json").read_text())["jail"]["missing"]
    assert "no landlock" in missing
    assert f"oga: Warning: {missing}" in done.stderr
    assert missing in json.loads(done.stdout)["warnings"]  # which the Run page and the report show


def test_data_are_read_for_accounts_only_in_a_whole_jail(tmp_path: Path) -> None:
    code = (
        "from oga_app.server.settings import Settings; import sys\n"
        "Settings.parse(sys.argv[1:]).require_jail()\n"
        "print('open')"
    )
    shared = ["--run", str(tmp_path), "--accounts", str(tmp_path / "accounts.json")]
    closed = lacking(LANDLOCK, "-c", code, *shared)
    assert closed.returncode != 0
    assert "Reading data and models is closed on this shared dashboard. This system has no landlock" in closed.stderr
    assert lacking(LANDLOCK, "-c", code, *shared, "--allow-unjailed").stdout.strip() == "open"
    assert lacking(LANDLOCK, "-c", code, "--run", str(tmp_path)).stdout.strip() == "open"
