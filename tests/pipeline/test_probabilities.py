"""Bundles with probabilities in place of logits, as `predict_proba` of a tree gives them, and without features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from here import score_here
from sklearn.metrics import average_precision_score

from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.readers import read_outputs


def test_probabilities_without_features_are_scored(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 200)
    given = np.where(rng.random(200) < 0.1, (true + 1) % 3, true)
    chances = rng.dirichlet([1, 1, 1], 200) + 2 * np.eye(3)[true]
    chances /= chances.sum(axis=1, keepdims=True)
    np.savez(tmp_path / "outputs.npz", probabilities=chances, labels=given)
    run = score_here(tmp_path / "outputs.npz", None, tmp_path / "run", ScoreOptions(map="none"))
    expected = -np.log(chances[np.arange(200), given])
    np.testing.assert_allclose(run.table["score_loss"], expected, rtol=1e-4, atol=1e-6)
    assert average_precision_score(given != true, run.table["score_oga"]) > 0.8
    assert "score_out_of_fold" not in run.table, "which needs features"
    table = pd.DataFrame({"pred_probs": list(chances.astype(np.float32)), "label": given})
    table.to_parquet(tmp_path / "outputs.parquet")
    np.testing.assert_allclose(np.exp(read_outputs(tmp_path / "outputs.parquet").logits), chances, rtol=1e-5)


def test_what_are_no_probabilities_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "outputs.npz", probabilities=np.full((4, 2), 0.7), labels=np.arange(4) % 2)
    with pytest.raises(OgaError, match="numbers from 0 to 1 that add up to 1 in every row"):
        read_outputs(tmp_path / "outputs.npz")
