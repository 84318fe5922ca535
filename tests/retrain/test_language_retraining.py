"""A language model's adapters trained again, with and without rows that say something wrong."""

import numpy as np
import pytest
import torch
from ask_runs import WORDS, adapter, write
from attack_files import build_quietly

from oga_core.errors import OgaError
from oga_core.pipeline.options import ScoreOptions
from oga_core.pipeline.score import score
from oga_core.retrain import verify
from oga_core.retrain.arms import NOTHING_CHANGED, RANDOM_TRIM, TRIMMED
from oga_core.retrain.losses import compare_losses
from oga_core.retrain.training import restart_adapters

N, N_WRONG = 80, 40


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
    found = score(write(folder / "rows.jsonl", rows), adapter(folder / "adapter"), folder / "run", options)
    found.write_table(found.table.assign(score_truth=wrong.astype(float)))
    return found, folder / "clean.jsonl"


def test_wrong_responses_cost_more_than_as_many_random_ones(run):
    found, clean = run
    share = N_WRONG / N
    summary = verify(found, score="truth", trim_fraction=share, validation=clean, seeds=1, epochs=15, device="cpu")
    arms = summary["arms"]
    assert set(arms) == {NOTHING_CHANGED, TRIMMED, RANDOM_TRIM}
    # Fewer rows are fewer steps, so that the random control is what the flagged must beat.
    assert arms[TRIMMED]["gain"]["mean"] > arms[RANDOM_TRIM]["gain"]["mean"] + 0.005
    assert "Against as many random rows" in summary["verdict"]
    assert summary["start"] == "new adapters"
    assert "the loss of the responses of 7 validation rows" in summary["verdict"]
    assert (found.path / "verify.json").is_file()


def test_a_held_out_fifth_judges_where_there_is_no_validation_data(run):
    summary = verify(run[0], trim_fraction=0.1, seeds=1, epochs=1, device="cpu")
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
