"""Preference pairs from a file and an adapter to a scored run, in the worker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from language_models import adapter_folder
from pairs import turns

from oga_core.api import open_run, score
from oga_core.errors import OgaError
from oga_core.previews.drawing import preview


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapter_folder(tmp_path_factory.mktemp("adapter"))


def written(folder: Path, n: int = 12) -> Path:
    rows = [{"id": f"p{i}", **turns(i % 7 + 1)} for i in range(n)]
    data = folder / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


def test_pairs_are_scored_reviewed_and_swapped(adapter: Path, tmp_path: Path) -> None:
    score(adapter, written(tmp_path), run=tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.info.modality == "preference"
    assert not run.scored.classes
    losses = run.scored.run.gradient_sketch().losses
    assert np.isfinite(losses).all()
    assert losses.std() > 0
    assert abs(losses.mean() - np.log(2)) < 0.2, "an adapter of random weights prefers nothing much"
    shown = preview(run.samples, 3, 64)
    assert [name for name, _ in shown.pair] == ["chosen", "rejected"]
    assert shown.messages == (("user", "the quick 4 ?"),)
    assert [place for place, _ in shown.responses] == ["/chosen/0/content", "/rejected/0/content"]
    run.decide("p3", "swap")
    row = json.loads(run.export("fixed", tmp_path / "out").read_text().splitlines()[3])
    assert (row["chosen"], row["rejected"]) == (turns(4)["rejected"], turns(4)["chosen"])


def test_a_merged_model_says_what_is_missing(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="no adapter that could be switched off"):
        score(adapter / "base", written(tmp_path), run=tmp_path / "run")
