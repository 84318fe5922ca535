"""What the Compare page computes: scores against each other and against the verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from app_runs import image_run
from scipy.stats import spearmanr

from oga_core.evaluation import verdicts as comparison
from oga_core.runs.info import RunInfo
from oga_core.runs.scored import ScoredRun
from oga_core.scores import SCORES


@pytest.fixture
def data(tmp_path):
    return ScoredRun(image_run(tmp_path).path)


def with_scores(data: ScoredRun, n: int = 100, info: dict | None = None, **scores) -> ScoredRun:
    """The run with these scores, `(n,)` each, in place of its own; the first is the default."""
    table = data.table.iloc[:n][["sample_id"]].assign(**{f"score_{name}": v for name, v in scores.items()})
    data.run.write_table(table)
    data.run.update(n_samples=n, default_score=next(iter(scores)))
    data = ScoredRun(data.path)
    data.info = replace(data.info, **(info or {}))
    return data


def test_compare_on_known_ranks(data):
    assert comparison.rank_correlation(data, ["loss", "loss"]).tolist() == pytest.approx(np.ones((2, 2)))
    assert comparison.overlaps(data, ["loss", "l2_norm"], 12)[0, 0] == 1.0
    codes = np.full(len(data), -1, dtype=np.int8)
    codes[data.order("loss")[:4]] = [2, 1, 0, 3]  # remove, relabel, keep, unsure
    table = comparison.method_table(data, codes, "loss", 12).set_index("score")
    assert table.loc["loss", "precision"] == pytest.approx(200 / 3)
    assert table.loc["loss", "verdicts"] == "2 of 3"
    assert table.loc["loss", "interval"] == "25 to 92 %"
    assert table.loc["loss", "overlap"] == 100


def test_equal_scores_share_their_mean_rank(data):
    random = np.random.default_rng(0)
    few, fine, flat = random.integers(3, size=100), random.normal(size=100), np.ones(100)
    data = with_scores(data, fine=fine, few=few.astype(float), flat=flat)
    shown = comparison.rank_correlation(data, ["fine", "few"])
    assert shown[0, 1] == pytest.approx(spearmanr(fine, few)[0])
    assert np.isnan(comparison.rank_correlation(data, ["fine", "flat"])[0, 1])
    np.testing.assert_array_equal(comparison.average_ranks(data, "flat"), 49.5)


def test_samples_that_tie_at_the_threshold_count_by_their_share(data):
    fine = -np.arange(100.0)
    few = np.repeat([3.0, 2.0, 1.0], [5, 20, 75])
    data = with_scores(data, fine=fine, few=few, flat=np.ones(100))
    weights = comparison.flagged_weights(data, "few", 10)
    assert weights.sum() == 10
    assert weights[[0, 4, 5, 24, 25]].tolist() == [1, 1, 0.25, 0.25, 0]
    shown = comparison.overlaps(data, ["fine", "few", "flat"], 10)
    assert shown[0].tolist() == pytest.approx([1, 0.625, 0.1])
    codes = np.full(100, -1, dtype=np.int8)
    codes[[0, 24, 25]] = 1, 0, 1
    table = comparison.method_table(data, codes, "fine", 10).set_index("score")
    assert table.loc[["fine", "few", "flat"], "verdicts"].tolist() == ["1 of 1", "1 of 2", "2 of 3"]
    assert table.loc["few", "overlap"] == pytest.approx(62.5)


def test_nothing_flagged_leaves_the_comparison_empty(data):
    table = comparison.method_table(data, np.full(len(data), -1, dtype=np.int8), "loss", 0)
    assert table["verdicts"].isna().all()
    assert comparison.overlaps(data, ["loss", "l2_norm"], 0)[0, 1] == 0


def test_many_verdicts_rank_above_one_lucky_one(data):
    data = with_scores(data, sure=-np.arange(100.0), lucky=np.arange(100.0))
    codes = np.full(100, -1, dtype=np.int8)
    codes[:20], codes[3], codes[99] = 1, 0, 1
    table = comparison.method_table(data, codes, "sure", 20)
    assert table["score"].tolist() == ["sure", "lucky"]
    assert table["precision"].tolist() == [95, 100]


def test_the_interval_of_a_share_holds_it_nine_times_in_ten():
    random = np.random.default_rng(0)
    share = random.random(4000)
    counts = random.binomial(20, share)
    bounds = np.array([comparison.interval(int(k), 20) for k in counts])
    assert ((bounds[:, 0] <= share) & (share <= bounds[:, 1])).mean() == pytest.approx(0.9, abs=0.02)
    assert comparison.interval(0, 0) == (0, 1)
    assert comparison.interval(1, 1)[0] < 0.3


def test_a_score_says_which_passes_it_needs_and_what_they_took():
    seconds = {"gradients": 97.9, "gradients of the checkpoints": 322.6, "each_score": {"aum": 0.007}}
    assert comparison.passes("aum", seconds) == "data (98 s), checkpoints (323 s)"
    assert comparison.passes("loss", seconds) == "data (98 s)"
    assert comparison.passes("tracin", {"gradients": 0.018}) == "data (0.02 s), validation"
    assert comparison.passes("oga", seconds) == "data (98 s), optional checkpoints (323 s)"
    assert comparison.passes("of a later version", seconds) == ""


def test_the_charts_begin_with_the_best_of_each_family(data):
    names = ["oga", "l2_norm", "l1_norm", "knn_distance", "margin", "loss", "feature_neighbours", "tracin", "trak"]
    random = np.random.default_rng(0)
    scores = {name: random.normal(size=100) for name in names}
    scores["loss"] = scores["oga"] + 0.01 * random.normal(size=100)
    data = with_scores(data, **scores)
    table = comparison.method_table(data, np.full(100, -1, dtype=np.int8), "margin", 30)
    shown = comparison.members(data, table, comparison.SELECTION, "margin")
    assert shown[:4] == ["oga", "margin", "l1_norm", "l2_norm"]
    assert {comparison.family(name) for name in shown} == set(comparison.families(data))
    assert len(shown) <= 7
    assert comparison.members(data, table, "influence", "margin") == ["tracin", "trak"]
    assert comparison.members(data, table, comparison.ALL, "margin") == data.scores


def test_descriptions_are_one_plain_line():
    for name in SCORES:
        words = comparison.described(name)
        assert len(words) > 20
        assert not set(words) & set("`\n")
        assert "n_samples" not in words
    assert comparison.described("of a later version") == ""


def test_a_score_is_described_as_what_it_is_in_the_run():
    prices = RunInfo(target="number", modality="tabular", loss={"name": "mean_squared_error"})
    assert comparison.described("oga", prices).startswith("How far the number is")
    assert comparison.described("loss", prices).startswith("The loss that the model was trained with")
    masks = RunInfo(target="mask", modality="image", loss={"name": "pixel_cross_entropy"})
    assert comparison.described("oga", masks).startswith("How much worse the mask fits")
    photographs = RunInfo(target="class", modality="image", loss={"name": "cross_entropy"})
    for name in SCORES:
        assert comparison.described(name, photographs) == comparison.described(name)
