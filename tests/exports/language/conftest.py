"""What an export writes does not depend on the process that writes it; test_export_job.py tries the worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from here import without_workers


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    with without_workers():
        yield
