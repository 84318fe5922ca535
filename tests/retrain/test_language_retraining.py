"""A language model's adapters trained again, with and without rows that say something wrong."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ask_runs import WORDS, adapter, write
from attack_files import build_quietly
from here import score_here, verify_here
from scipy import stats

from oga_app.background.verifying import _is_whole
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.retrain import verify
from oga_core.retrain.adapters import AdapterTraining
from oga_core.retrain.arms import NOTHING_CHANGED, RANDOM_TRIM, TRIMMED
from oga_core.retrain.losses import compare_losses
from oga_core.retrain.removal import removal_curve, removal_verdict
from oga_core.retrain.training import recipe_for, restart_adapters
from oga_core.runs.folder import RunFolder
from oga_core.tasks.prepare import prepare

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # transformers and peft to one another

N, N_WRONG = 80, 40
NAMES = ("ekfac", "bm25", "random")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Rows that repeat a word; the response of the wrong ones is always the same other word."""
    folder = tmp_path_factory.mktemp("retrained")
    words = np.random.default_rng(0).choice(WORDS[5:], N)
    wrong = np.random.default_rng(1).permutation(N) < N_WRONG
    said = ["not" if bad else word for word, bad in zip(words, wrong, strict=True)]
    rows = [{"id": str(i), "prompt": f"say {words[i]} ", "completion": said[i]} for i in range(N)]
    clean = [{"prompt": f"say {word} ", "completion": str(word)} for word in WORDS[5:]]
    write(folder / "clean.jsonl", clean)
    options = ScoreOptions(scores=("loss",), map="none", device="cpu")
    found = score_here(write(folder / "rows.jsonl", rows), adapter(folder / "adapter"), folder / "run", options)
    found.write_table(found.table.assign(score_truth=wrong.astype(float)))
    return found, folder / "clean.jsonl"


def test_wrong_responses_cost_more_than_as_many_random_ones(run):
    found, clean = run
    share = N_WRONG / N
    summary = verify_here(found, score="truth", trim_fraction=share, validation=clean, seeds=1, epochs=15, device="cpu")
    arms = summary["arms"]
    assert set(arms) == {NOTHING_CHANGED, TRIMMED, RANDOM_TRIM}
    # Fewer rows are fewer steps, so that the random control is what the flagged must beat.
    assert arms[TRIMMED]["gain"]["mean"] > arms[RANDOM_TRIM]["gain"]["mean"] + 0.005
    assert "Against as many random rows" in summary["verdict"]
    assert summary["start"] == "new adapters"
    assert "the loss of the responses of 7 validation rows" in summary["verdict"]
    assert (found.path / "verify.json").is_file()


def test_a_held_out_fifth_judges_where_there_is_no_validation_data(run):
    summary = verify_here(run[0], trim_fraction=0.1, seeds=1, epochs=1, device="cpu")
    assert summary["judged_on"] == {"kind": "held_out", "share": 0.2, "n": N // 5}
    assert summary["arms"][NOTHING_CHANGED]["n_train"] == N - N // 5
    assert summary["arms"][TRIMMED]["n_train"] == summary["arms"][RANDOM_TRIM]["n_train"] < N - N // 5
    with pytest.raises(OgaError, match="trim fraction"):
        verify(run[0], trim_fraction=0.0)


def test_the_interval_holds_seeds_and_rows():
    trials = [
        {"arm": arm, "seed": seed, "n_train": 8, "n_judged": 25, "loss": loss + seed / 100, "difference_std": std}
        for seed in (0, 1)
        for arm, loss, std in ((NOTHING_CHANGED, 2.0, 0.0), (TRIMMED, 1.0, 0.5))
    ]
    gain = compare_losses(trials, split=False)[TRIMMED]["gain"]
    np.testing.assert_allclose(gain["interval_90"], [1 - 1.645 * 0.1, 1 + 1.645 * 0.1], atol=1e-9)
    assert gain["says"] == "better"
    assert compare_losses(trials, split=True)[TRIMMED]["gain"]["interval_90"][0] > gain["interval_90"][0]


def test_rows_without_which_a_training_goes_on_count_for_nothing(run):
    folder = RunFolder.open(run[0].path)
    loaded = build_quietly(lambda: load_model(Path(folder.info.model.path)))
    samples, task = prepare(folder.samples, loaded, None)
    recipe = replace(recipe_for("causal_lm", N), epochs=1)
    training = AdapterTraining(loaded.module, task, samples, recipe, torch.device("cpu"), True, lambda steps: None)
    some = samples.take(np.arange(8))
    untrained = copy.deepcopy(loaded.module)
    restart_adapters(untrained)
    even = np.arange(0, N, 2)
    nothing = training.trained(0, without=np.arange(N))
    np.testing.assert_allclose(training.losses(nothing, some), training.losses(untrained, some), rtol=1e-6)
    half = training.trained(0, without=np.setdiff1d(np.arange(N), even))
    other = replace(training, samples=replace(samples, inputs=_Spoilt(samples.inputs, set(even.tolist()))))
    np.testing.assert_allclose(
        training.losses(half, some), training.losses(other.trained(0, without=np.setdiff1d(np.arange(N), even)), some)
    )
    assert not np.allclose(training.losses(training.trained(0), some), training.losses(half, some))


class _Spoilt:
    """Rows of which all but a few say something else."""

    def __init__(self, rows, whole):
        self.rows, self.whole = rows, whole

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return self.rows[row] if row in self.whole else {**self.rows[row], "completion": "four"}


def test_a_response_is_followed_without_the_rows_that_pushed_for_it(run, tmp_path):
    questions = write(tmp_path / "questions.jsonl", [{"prompt": f"say {w} ", "completion": w} for w in WORDS[5:7]])
    options = {"trim_fraction": 0.1, "seeds": 2, "epochs": 1, "device": "cpu"}
    summary = verify(run[0], question=questions, **options)
    curve = summary["removal"]
    assert (curve["method"], curve["n_queries"]) == ("ekfac", 2)
    assert [point["n_removed"] for point in curve["shares"]] == [1, 2, 4]
    assert all(set(point["rise"]) == {"ekfac", "bm25", "random"} for point in curve["shares"])
    assert len(curve["trials"]) == 2 * 3 * 2
    assert "the loss of the 2 responses rises by" in summary["verdict"]
    assert _is_whole(json.loads((run[0].path / "verify.json").read_text()))
    own = verify_here(run[0], question=("say red ", None), **{**options, "seeds": 1})["removal"]
    assert own["queries"][0]["generated"]
    assert own["shares"][0]["over_random"]["interval_90"] is None
    with pytest.raises(OgaError, match="does not exist"):
        verify(run[0], question=tmp_path / "none.jsonl", **options)


def test_a_curve_is_the_mean_rise_with_students_interval():
    rises = [(0.3, 0.1, 0.05), (0.5, 0.2, -0.05), (0.4, 0.6, 0.0), (0.2, 0.1, 0.1)]
    trials = [
        {"seed": i % 2, "share": 0.02, "n_removed": 18, "query": i // 2, "rises": dict(zip(NAMES, rise, strict=True))}
        for i, rise in enumerate(rises)
    ]
    curve = removal_curve(trials, "ekfac")
    (point,) = curve["shares"]
    over = np.array([a - c for a, _, c in rises])
    low, high = stats.t.interval(0.9, 3, loc=over.mean(), scale=stats.sem(over))
    np.testing.assert_allclose(point["over_random"]["interval_90"], [low, high])
    assert point["rise"]["ekfac"]["mean"] == pytest.approx(0.35)
    assert (point["over_random"]["says"], point["over_bm25"]["says"]) == ("more", "no clear difference")
    words = removal_verdict(curve)
    assert "Trained without the 18 rows that pushed most for it, the loss of the 2 responses rises by +0.350" in words
    assert f"Against random rows: +0.325 (90 % interval {low:+.3f} to {high:+.3f}), more." in words


def test_new_adapters_leave_the_base_as_it_is():
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    base = LlamaForCausalLM(LlamaConfig(vocab_size=5, **sizes)).eval()
    tokens = torch.tensor([[1, 2, 3]])
    expected = base(input_ids=tokens).logits.detach()
    lora = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    model = build_quietly(lambda: get_peft_model(base, lora)).eval()
    assert not torch.allclose(model(input_ids=tokens).logits, expected)
    assert restart_adapters(model)
    torch.testing.assert_close(model(input_ids=tokens).logits, expected)
    assert not restart_adapters(torch.nn.Linear(2, 2))
