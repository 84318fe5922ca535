"""Scoring, retraining, showing and exporting: the process that asks for them opens neither the data nor the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "sample_data"
PROGRAM = """
import json, sys
from pathlib import Path

opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)

from oga_core.exports import EXPORTS, REPORT, export
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.score import score
from oga_core.previews.reader import content_of, look_at
from oga_core.retrain import verify

data, model, folder = map(Path, sys.argv[1:])
options = ScoreOptions(label_column="diagnosis", scores=("loss",), map="none")
run = score(data, model, folder / "run", options)
verify(run, trim_fraction=0.1, seeds=1)
verify(run, trim_fraction=0.1, seeds=1, depth="all", epochs=1)
content_of(data)
look_at(data, {"label_column": "diagnosis"})
for format in ("csv", "fixed", REPORT):
    export(run, format, folder / f"out-{format}")
print(json.dumps(sorted(set(opened) & {str(data), str(model)})))
print(json.dumps(str(folder / "run" / "run.json") in opened))
"""


def test_the_process_that_asks_opens_neither_data_nor_model(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, *map(str, (SAMPLES / "tumours.csv", SAMPLES / "tumours.pt2", tmp_path))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    opened, sees_others = map(json.loads, done.stdout.splitlines()[-2:])
    assert sees_others
    assert opened == []
