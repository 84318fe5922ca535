"""Options and fixtures that several test files share."""

from __future__ import annotations

import os

import pytest

# Tests run beside one another; more threads each would only fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files of one or two tests that each take long. xdist hands out files of few tests last, in their order here: a long
# one at the very end would leave the other worker without anything to do.
_LONG = {"test_who_reads.py", "test_readme.py", "test_kills.py", "test_mutated_models.py"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--browser", action="store_true", help="also run the tests that drive real headless Chromium")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in _LONG)
    if config.getoption("--browser"):
        return
    skip = pytest.mark.skip(reason="drives real headless Chromium: run with --browser")
    for item in items:
        if "browser" in item.keywords:
            item.add_marker(skip)
