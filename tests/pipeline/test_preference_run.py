"""Preference pairs from a file and a model to a scored run, once in the worker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from attack_files import build_quietly
from here import without_workers
from language_models import adapter_folder
from pairs import turns
from transformers import LlamaConfig, LlamaForCausalLM

from oga_core.api import open_run, score
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.previews.drawing import preview

# peft asks a model for what transformers has renamed, whenever it wraps one.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapter_folder(tmp_path_factory.mktemp("adapter"))


def written(folder: Path, n: int = 12) -> Path:
    rows = [{"id": f"p{i}", **turns(i % 7 + 1)} for i in range(n)]
    data = folder / "pairs.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


def test_pairs_are_scored_reviewed_and_swapped(adapter: Path, tmp_path: Path) -> None:
    with without_workers():
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
    with without_workers():
        row = json.loads(run.export("fixed", tmp_path / "out").read_text().splitlines()[3])
    assert (row["chosen"], row["rejected"]) == (turns(4)["rejected"], turns(4)["chosen"])


def test_a_merged_model_is_measured_against_its_reference(adapter: Path, tmp_path: Path) -> None:
    """The losses are those of the adapter, switched on and off."""
    data = written(tmp_path)
    whole = build_quietly(lambda: load_model(adapter))
    merged = whole.module.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    whole.tokenizer.save_pretrained(tmp_path / "merged")
    with without_workers():
        score(adapter, data, run=tmp_path / "adapter-run", scores=["loss"])
    options = {"scores": ["loss"], "parameters": "pattern:q_proj"}
    score(tmp_path / "merged", data, run=tmp_path / "run", reference=str(adapter / "base"), **options)
    run, switched = open_run(tmp_path / "run"), open_run(tmp_path / "adapter-run")
    losses = run.scored.run.gradient_sketch().losses
    np.testing.assert_allclose(losses, switched.scored.run.gradient_sketch().losses, rtol=1e-4)
    assert np.asarray(run.scored.run.gradient_sketch().sketch).any()
    with without_workers():
        score(tmp_path / "merged", data, run=tmp_path / "itself", reference=str(tmp_path / "merged"), **options)
    losses = open_run(tmp_path / "itself").scored.run.gradient_sketch().losses
    np.testing.assert_allclose(losses, np.log(2), rtol=1e-5)


def test_a_reference_that_does_not_fit_is_refused(adapter: Path, tmp_path: Path) -> None:
    other = LlamaConfig(vocab_size=33, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    LlamaForCausalLM(other).save_pretrained(tmp_path / "other")
    build_quietly(lambda: load_model(adapter)).tokenizer.save_pretrained(tmp_path / "other")
    with without_workers(), pytest.raises(OgaError, match="The reference model has 33 tokens"):
        score(adapter, written(tmp_path), run=tmp_path / "run", reference=str(tmp_path / "other"))
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "a ", "completion": "b"}) + "\n")
    with without_workers(), pytest.raises(OgaError, match="belongs to preference pairs"):
        score(adapter, rows, run=tmp_path / "rows-run", reference=str(adapter / "base"))
    with pytest.raises(OgaError, match=r"The reference model .* does not exist"):
        score(adapter, rows, run=tmp_path / "rows-run", reference=str(tmp_path / "none"))


def test_a_merged_model_says_what_is_missing(adapter: Path, tmp_path: Path) -> None:
    with without_workers(), pytest.raises(OgaError, match="no adapter that could be switched off"):
        score(adapter / "base", written(tmp_path), run=tmp_path / "run")
