"""Scores of a language model's rows, on rows whose bad ones are known."""

from dataclasses import replace

import numpy as np
import pytest
from problems import answers, blobs

from oga_core.errors import OgaError
from oga_core.findings.diagnosis import diagnose
from oga_core.findings.language import UNUSUAL
from oga_core.scores import compute_scores
from oga_core.scores.language.given_prompt import LARGEST, PARTS, learnt_by_heart, standing_out
from oga_core.scores.language.residuals import SCALES, PromptRegression, even_residuals


@pytest.fixture(scope="module")
def problem():
    return answers(600, spread=1.5)


def precision(values, wrong):
    from sklearn.metrics import average_precision_score

    return average_precision_score(wrong, values)


def test_the_default_is_better_than_plain_loss_and_each_part(problem):
    sketch, wrong = problem
    names = ["oga", "loss", *(f"{name.replace('new tokens', 'new_token')}_residual" for name in PARTS)]
    scores, _ = compute_scores(sketch, names)
    found = {name: precision(values, wrong) for name, values in scores.items()}
    assert found["oga"] == max(found.values()) > found["loss"] + 0.1


def test_one_part_in_which_a_few_rows_stand_out_is_not_drowned_by_the_others():
    """Ranks alone would give the largest of four parts of noise the same say."""
    sketch, _ = answers(600, bad=0.0, spread=1.5)
    shares = sketch.new_token_shares.copy()
    few = np.arange(0, 600, 60)
    shares[few] += 3
    changed = replace(sketch, new_token_shares=shares)
    assert set(np.argsort(-compute_scores(changed, ["oga"])[0]["oga"])[: len(few)]) == set(few)


def test_a_part_is_counted_in_spreads_above_its_median_up_to_a_bound():
    values = np.random.default_rng(0).normal(3, 0.5, 10_001)
    values[:2] = 1e6, -1e6
    spreads = standing_out(values)
    assert (spreads[0], spreads[1]) == (LARGEST, 0)
    np.testing.assert_allclose(spreads[2:], np.clip((values[2:] - 3) / 0.5, 0, LARGEST), atol=0.1)
    assert not standing_out(np.full(9, 0.3) + 1e-16 * np.arange(9)).round(6).any()


def test_a_part_in_which_many_rows_stand_out_counts_for_less():
    values = np.random.default_rng(0).normal(0, 1, 1000)
    few, many = values.copy(), values.copy()
    few[:10] += 4
    many[:200] += 8
    np.testing.assert_allclose(standing_out(few)[10:], np.clip(values[10:], 0, LARGEST), atol=0.2)
    assert standing_out(many)[:200].max() < standing_out(few)[:10].mean()


def test_what_a_prompt_always_has_is_not_unusual():
    sketch, _ = answers(600, bad=0.0)
    harder = sketch.losses > np.quantile(sketch.losses, 0.75)  # nearly all of one kind
    top = np.argsort(-compute_scores(sketch, ["loss_residual"])[0]["loss_residual"])[:60]
    assert harder[top].mean() < 0.6
    assert harder[np.argsort(-sketch.losses)[:60]].mean() == 1


@pytest.mark.parametrize("scale", range(len(SCALES)))
def test_losses_are_measured_on_the_scale_where_they_vary_alike(scale):
    rng = np.random.default_rng(0)
    expected = SCALES[scale](rng.uniform(1, 9, 500))
    regression = PromptRegression(np.stack([np.ones(500), expected - expected.mean()], axis=1))
    targets = expected + 0.1 * rng.normal(size=500)
    losses = (np.exp, np.square, np.positive)[scale](targets)
    np.testing.assert_allclose(even_residuals(regression, losses), regression.residuals(targets))


def test_bad_lengths_do_not_move_what_is_expected():
    """A fifth of the responses are twice as long as all others: these have the length that is expected."""
    sketch, _ = answers(600, n_kinds=2, bad=0.0)
    long = np.arange(600) % 5 == 0
    lengths = np.where(long, 20, 10).astype(np.float32)
    misses = compute_scores(replace(sketch, response_lengths=lengths), ["length_residual"])[0]["length_residual"]
    assert np.median(misses[~long]) < 0.03 < 0.5 < misses[long].min()


def test_a_memorised_model_takes_the_losses_of_checkpoints(problem):
    sketch, wrong = problem
    learnt = replace(sketch, losses=(1e-3 * np.random.default_rng(0).random(len(wrong))).astype(np.float32))
    assert learnt_by_heart(learnt)
    assert not learnt_by_heart(sketch)
    assert [
        each for each in diagnosis_of(learnt).fields["warnings"] if "by heart, bad ones too (mean loss 0.00)" in each
    ]
    assert not any("by heart" in each for each in diagnosis_of(sketch).fields["warnings"])
    alone = compute_scores(learnt, ["oga"])[0]["oga"]
    along = compute_scores(learnt, ["oga"], checkpoints=[sketch, sketch])[0]["oga"]
    assert precision(along, wrong) > precision(alone, wrong)
    np.testing.assert_array_equal(
        compute_scores(sketch, ["oga"], checkpoints=[learnt])[0]["oga"], compute_scores(sketch, ["oga"])[0]["oga"]
    )


def test_without_classes_and_states_there_is_no_default():
    sketch, _ = blobs(60)
    bare = replace(sketch, logits=None, features=None)
    with pytest.raises(OgaError, match="'oga' needs logits of classes, or the states"):
        compute_scores(bare, ["oga"])
    assert "oga" not in compute_scores(bare)[0]


def test_scores_of_classes_are_not_offered_for_rows_of_a_language_model(problem):
    scores, _ = compute_scores(problem[0])
    assert {"oga", "loss", "isolation_forest_sketch", "l2_norm_by_length", "end_loss", "new_tokens"} <= scores.keys()
    assert {"margin", "class_mean_cosine", "isolation_forest_sketch_per_class", "confident_learning"}.isdisjoint(scores)


def test_difficulty_is_the_loss_after_the_prompt_over_that_without(problem):
    sketch, _ = problem
    values = compute_scores(sketch, ["instruction_difficulty"])[0]["instruction_difficulty"]
    np.testing.assert_allclose(values, sketch.losses / sketch.prompt_free_losses, rtol=1e-6)
    without = replace(sketch, prompt_free_losses=None)
    with pytest.raises(OgaError, match="needs prompt free losses"):
        compute_scores(without, ["instruction_difficulty"])


def test_norms_by_length_do_not_fall_with_it(problem):
    sketch, _ = problem
    values = compute_scores(sketch, ["l2_norm_by_length"])[0]["l2_norm_by_length"]
    np.testing.assert_allclose(values, np.linalg.norm(sketch.sketch, axis=1), rtol=1e-5)


def diagnosis_of(sketch):
    score = compute_scores(sketch, ["oga"])[0]["oga"]
    ids = np.arange(len(sketch)).astype(str).astype(object)
    return diagnose(sketch, score, class_names=(), ids=ids, groups={})


def test_a_row_says_in_words_which_parts_stand_out(problem):
    sketch, wrong = problem
    found = diagnosis_of(sketch)
    reasons = np.array(found.columns["reason"], dtype=object)
    worst = int(np.argmax(np.where(wrong, sketch.losses, 0)))
    assert f"less likely than its prompt lets expect (loss {sketch.losses[worst]:.2f}, more than" in reasons[worst]
    named = np.array([bool(reason) for reason in reasons])
    assert named[wrong].mean() > 0.9
    assert named[~wrong].mean() < len(PARTS) * UNUSUAL
    for words in ("it ends where", "unlike the responses", "words that are not in its"):
        assert any(words in reason for reason in reasons)


def test_rows_that_are_there_twice_name_each_other(problem):
    sketch = problem[0].take(np.array([*range(300), 7, 8]))
    sketch.response_means[301] = -sketch.response_means[8]
    columns = diagnosis_of(sketch).columns
    assert [columns["finding"][row] for row in (7, 300)] == ["near-duplicate"] * 2
    assert [columns["finding"][row] for row in (8, 301)] == ["same prompt, another response"] * 2
    assert [columns["twin_id"][row] for row in (7, 300, 8, 301)] == ["300", "7", "301", "8"]
    assert columns["reason"][7].startswith("Nearly the same prompt and response as 300.")
    assert columns["reason"][301].startswith("8 answers the same prompt otherwise.")
    assert (np.delete(columns["finding"], [7, 8, 300, 301]) == "none").all()


def test_no_noise_rate_is_claimed(problem):
    fields = diagnosis_of(problem[0]).fields
    assert "noise_rate" not in fields
    assert "suggested_trim_fraction" not in fields
