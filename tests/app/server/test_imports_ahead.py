"""What the server imports before the first page is asked for."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from app_runs import image_run
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

import oga_app
from oga_app import asgi_app, cache
from oga_app.server.settings import Settings
from oga_core.runs import scored

PROGRAM = """
import gc, json, sys
from oga_app import asgi_app
before = set(sys.modules)
asgi_app._import_pages()
print(json.dumps([sorted(set(sys.modules) - before), gc.get_freeze_count(), len(gc.get_objects())]))
"""


def test_the_pages_are_imported_and_out_of_later_collections():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    imported, frozen, tracked = json.loads(result.stdout)
    script = Path(oga_app.__file__).with_name("streamlit_app.py").read_text(encoding="utf-8")
    pages = re.findall(r"st\.Page\((\w+)\.show", script)
    assert len(pages) >= 6
    for page in pages:
        assert [name for name in imported if re.fullmatch(rf"oga_app\.views\.(\w+\.)?{page}", name)], page
    assert "scipy.optimize" in imported
    assert "torch" not in imported  # which takes seconds, and only what computes needs it
    assert frozen > 50 * tracked


@pytest.mark.filterwarnings("ignore")
def test_the_first_visitor_finds_the_latest_run_read(tmp_path, monkeypatch):
    image_run(tmp_path)
    monkeypatch.setenv("OGA_RUNS", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py"])
    asgi_app._warm(Settings.parse([]))
    monkeypatch.setattr(cache, "ScoredRun", None)
    monkeypatch.setattr(scored, "RankedScores", None)
    test = AppTest.from_file(str(Path(oga_app.__file__).with_name("streamlit_app.py")), default_timeout=60)
    test.query_params["run"] = "digits"
    test._page_hash = calc_hash("explore")
    test.run()
    assert not test.exception
    shown = [component.proto.component_name for component in test.get("bidi_component")]
    assert "oga_gradient_map" in shown


def test_a_run_that_cannot_be_read_keeps_no_server_from_starting(tmp_path):
    run = image_run(tmp_path)
    (run.path / "scores.parquet").write_bytes(b"nothing")
    asgi_app._warm(Settings.parse(["--run", str(tmp_path)]))
