"""A retraining killed in the middle leaves the earlier answer whole, and the next one clears what it left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from app_runs import image_run

from oga_core.files import is_temporary
from oga_core.retrain import verify

PROGRAM = """
import sys
from pathlib import Path
from oga_core.retrain import verify
from oga_core.runs.folder import RunFolder
verify(RunFolder(Path(sys.argv[1])), seeds=400, trim_fraction=0.1, progress=lambda event: print(event, flush=True))
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")


def test_a_killed_retraining_leaves_the_earlier_answer(tmp_path: Path) -> None:
    run = image_run(tmp_path)
    earlier = verify(run, seeds=1, trim_fraction=0.1)
    command = [sys.executable, "-c", PROGRAM, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any("retraining" in line for line in iter(process.stdout.readline, ""))
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    assert json.loads((run.path / "verify.json").read_bytes()) == earlier
    verify(run, seeds=1, trim_fraction=0.1)
    assert [path.name for path in run.path.rglob("*") if is_temporary(path) or path.name.startswith(".verify")] == []
