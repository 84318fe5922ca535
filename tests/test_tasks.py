from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.samples import SampleSet, Source, UnreadableSample
from oga_core.tasks import task_for
from oga_core.tasks.causal_lm import IGNORED


def make(inputs, modality, labels=None) -> SampleSet:
    n = len(inputs)
    ids = np.array([str(i) for i in range(n)], dtype=object)
    labels = np.zeros(n, dtype=np.int64) if labels is None else np.array(labels)
    rows = [{} for _ in inputs]
    return SampleSet(ids, inputs, labels, ("a", "b"), modality, rows, np.arange(n), Source(Path("x"), "csv"), "f")


class Tokenizer:
    """Characters as tokens, with the calls that the tasks use; a real tokenizer is used in the pipeline's tests."""

    pad_token_id, eos_token_id, chat_template = 0, 1, None

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [ord(c) for c in text]}


def test_images_are_normalised_and_resized():
    card = ModelCard("image", ("a", "b"), {"image_size": [4, 4], "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.2, 0.1]})
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    images = [Image.fromarray(pixels), Image.fromarray(pixels).resize((9, 7)), Image.fromarray(pixels[:, :, 0])]
    batch = task_for(card).batch(make(images, "image"), np.arange(3))
    assert batch["images"].shape == (3, 3, 4, 4)
    expected = (pixels / 255 - [0.5, 0.4, 0.3]) / [0.5, 0.2, 0.1]
    np.testing.assert_allclose(batch["images"][0].permute(1, 2, 0), expected, atol=1e-5)


def test_views_of_images_keep_shape_and_labels():
    card = ModelCard("image", ("a", "b"), {"image_size": 8, "channels": 1})
    task = task_for(card)
    batch = task.batch(make([Image.new("L", (8, 8), 7)] * 2, "image", [0, 1]), np.arange(2))
    views = task.views(batch)
    assert len(views) == 3
    assert all(view["images"].shape == batch["images"].shape for view in views)
    assert all(torch.equal(view["labels"], batch["labels"]) for view in views)
    assert torch.equal(views[0]["images"], batch["images"].flip(3))


@pytest.mark.parametrize(
    ("card_input", "message"),
    [
        ({}, "'image_size' in the model card must be .*got None"),
        ({"image_size": [0, 4]}, "image_size"),
        ({"image_size": 4, "channels": 2}, "'channels' in the model card must be 1 or 3, got 2"),
        ({"image_size": 4, "mean": [1, 2]}, r"'mean' in the model card must be 3 number\(s\)"),
        ({"image_size": 4, "std": 0}, "'std' in the model card must be above 0"),
    ],
)
def test_a_wrong_image_card_says_what_is_wrong(card_input, message):
    with pytest.raises(OgaError, match=message):
        task_for(ModelCard("image", ("a", "b"), card_input))


def test_table_rows_are_scaled_and_one_hot():
    card = ModelCard(
        "tabular",
        ("a", "b"),
        {"features": ["x", "colour"], "mean": [10], "std": [2], "categories": {"colour": ["red", "blue"]}},
    )
    batch = task_for(card).batch(
        make([{"x": "14", "colour": "blue"}, {"x": "10", "colour": "?"}], "tabular"), np.arange(2)
    )
    assert batch["values"].tolist() == [[2, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("value", ["", "many", "nan", "inf"])
def test_a_cell_that_is_no_number_is_an_unreadable_sample(value):
    task = task_for(ModelCard("tabular", ("a", "b"), {"features": ["x"]}))
    with pytest.raises(UnreadableSample, match="column 'x' holds"):
        task.batch(make([{"x": value}], "tabular"), np.arange(1))


def test_a_missing_column_is_named():
    task = task_for(ModelCard("tabular", ("a", "b"), {"features": ["x"]}))
    with pytest.raises(OgaError, match=r"no column 'x'.*It has: y"):
        task.batch(make([{"y": "1"}], "tabular"), np.arange(1))


def test_language_model_losses_count_the_response_only():
    task = task_for(ModelCard("causal_lm", ()), Tokenizer())
    rows = [{"prompt": "ab", "completion": "cd"}, {"text": "xyz"}]
    batch = task.batch(make(rows, "causal_lm"), np.arange(2))
    assert batch["labels"][0].tolist() == [IGNORED, IGNORED, ord("c"), ord("d"), 1]
    assert batch["labels"][1].tolist() == [IGNORED, ord("y"), ord("z"), 1, IGNORED]
    outputs = torch.randn(2, 5, 128)
    losses = task.losses(outputs, batch)
    by_hand = torch.nn.functional.cross_entropy(outputs[0, 1:4], torch.tensor([ord("c"), ord("d"), 1]))
    torch.testing.assert_close(losses[0], by_hand)


def test_the_last_turn_of_a_conversation_is_the_response():
    task = task_for(ModelCard("causal_lm", ()), Tokenizer())
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    batch = task.batch(make([{"messages": turns}], "causal_lm"), np.arange(1))
    counted = [chr(token) for token in batch["labels"][0] if token > 1]
    assert "".join(counted) == "yo\n"


def test_a_response_that_is_cut_away_is_an_unreadable_sample():
    task = task_for(ModelCard("causal_lm", (), {"max_length": 3}), Tokenizer())
    with pytest.raises(UnreadableSample, match="no response left within 3 tokens"):
        task.batch(make([{"prompt": "abc", "completion": "d"}], "causal_lm"), np.arange(1))


def test_a_text_model_without_tokenizer_says_how_to_save_it():
    with pytest.raises(OgaError, match=r"tokenizer\.save_pretrained"):
        task_for(ModelCard("text", ("a", "b")))
