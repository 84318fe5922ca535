"""What a job says of its memory is its own."""

import subprocess
import sys

import pytest

PROGRAM = "from oga_core.worker.stages import peak_rss_mb; print(peak_rss_mb())"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system counts from the start of the process")
def test_the_peak_of_a_process_does_not_hold_that_of_the_one_that_started_it():
    block = b"x" * (500 << 20)
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert 5 < float(told) < len(block) / 2**20 / 2
