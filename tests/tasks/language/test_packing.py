"""Packing is a way to fill batches: a row's loss and gradient are the same packed among others, padded and alone."""

import numpy as np
import pytest
import torch
from tokenizers_of_language import MARKED, byte_level
from transformers import LlamaConfig, LlamaForCausalLM

from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.tasks import task_for

ROWS = """{"prompt": "the quick", "completion": " brown fox"}
{"messages": [{"role": "user", "content": "fox ?"}, {"role": "assistant", "content": "the lazy dog ."}]}
{"prompt": "over", "completion": " the dog ! the quick fox"}
"""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=420, max_position_embeddings=64, attn_implementation="eager", **sizes)
    return LlamaForCausalLM(config).double().eval()


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """Each row alone, and all in one batch, as the task makes them."""
    task = task_for(ModelCard("causal_lm", ()), byte_level(MARKED, bos=True))
    alone = []
    for i, row in enumerate(ROWS.splitlines()):
        path = tmp_path_factory.mktemp("rows") / f"{i}.jsonl"
        path.write_text(row)
        alone.append(task.batch(read_samples(path), np.array([0])))
    return task, alone


def gradients(model, loss) -> list[torch.Tensor]:
    return torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_rows_gradient_is_the_same_packed_and_alone(model, batches):
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    task, alone = batches
    rows = [{name: batch[name][0].tolist() for name in ("input_ids", "labels")} for batch in alone]
    packed = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(rows)
    assert packed["position_ids"].tolist() == [[i for row in rows for i in range(len(row["input_ids"]))]]
    logits = model(input_ids=packed["input_ids"], position_ids=packed["position_ids"], use_cache=False).logits
    start = 0
    for batch in alone:
        stop = start + batch["input_ids"].shape[1]
        of_pack = task.losses(logits[:, start:stop], {"labels": packed["labels"][:, start:stop]})
        by_itself = task.losses(task.outputs(model, batch), batch)
        torch.testing.assert_close(of_pack, by_itself)
        for one, other in zip(gradients(model, of_pack), gradients(model, by_itself), strict=True):
            # the model itself takes norms and the softmax of its attention in float32
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
        start = stop


def test_rows_that_attend_to_one_another_would_differ(model, batches):
    """What the test above would see if packing mixed rows: the second row alone against behind the first."""
    task, (first, second, _) = batches
    ids = torch.cat([first["input_ids"], second["input_ids"]], 1)
    logits = model(input_ids=ids, use_cache=False).logits[:, first["input_ids"].shape[1] :]
    mixed, by_itself = task.losses(logits, second), task.losses(task.outputs(model, second), second)
    assert abs(float((mixed - by_itself).detach())) > 1e-4
