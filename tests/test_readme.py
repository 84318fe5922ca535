"""The README's Python block runs as it stands, and every line that prints has something to say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
SELF_CONTAINED = [block for block in BLOCKS if "import oga_core" in block]


def test_the_readme_has_a_block_that_runs() -> None:
    assert len(SELF_CONTAINED) == 1


@pytest.mark.parametrize("block", SELF_CONTAINED)
def test_the_block_runs_as_it_stands(block: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in ("suggested_label", "isolation_forest", "600 samples", "Interval(estimate=", "Trimming the 60"):
        assert word in done.stdout
    assert (tmp_path / "my-run" / "scores.parquet").is_file()
    assert (tmp_path / "fixed.parquet").is_file()
