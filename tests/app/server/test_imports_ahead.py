"""What the server imports before the first page is asked for."""

import json
import re
import subprocess
import sys
from pathlib import Path

import oga_app

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
