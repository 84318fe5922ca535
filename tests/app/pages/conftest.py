"""Pages of the dashboard over a folder of small runs, drawn by Streamlit's AppTest."""

import sys
from pathlib import Path

import pytest
from app_runs import image_run
from here import without_workers
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

import oga_app

SCRIPT = Path(oga_app.__file__).with_name("streamlit_app.py")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OGA_RUNS", str(tmp_path))
    return tmp_path


@pytest.fixture
def read_here():
    """Look at files in this process: a worker for each of them takes a while to start."""
    with without_workers():
        yield


@pytest.fixture
def digits(folder):
    return image_run(folder)


@pytest.fixture(scope="module")
def gallery():
    return {}


@pytest.fixture
def shown(gallery, folder, tmp_path_factory, monkeypatch):
    """Open a run that the test only looks at: it is made once, and so is the process that reads its samples."""

    def open_run(make, *arguments):
        if (make, arguments) not in gallery:
            gallery[make, arguments] = make(tmp_path_factory.mktemp("gallery"), *arguments)
        run = gallery[make, arguments]
        monkeypatch.setenv("OGA_RUNS", str(run.path.parent))
        return run

    return open_run


@pytest.fixture
def visit(folder, monkeypatch):
    def open_page(page: str, *flags: str, **address: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["streamlit_app.py", *flags])
        test = AppTest.from_file(str(SCRIPT), default_timeout=60)
        for name, value in address.items():
            test.query_params[name] = value
        test._page_hash = calc_hash(page)
        return test.run()

    return open_page
