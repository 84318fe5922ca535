"""Options and fixtures that several test files share."""

from __future__ import annotations

import os

import pytest

# Tests run beside one another; more threads each would only fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--browser", action="store_true", help="also run the tests that drive real headless Chromium")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--browser"):
        return
    skip = pytest.mark.skip(reason="drives real headless Chromium: run with --browser")
    for item in items:
        if "browser" in item.keywords:
            item.add_marker(skip)
