import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.samples import SampleSet, Source, UnreadableSample
from oga_core.tasks import task_for
from oga_core.tasks.language.late_head import IGNORED


def make(inputs, modality, labels=None) -> SampleSet:
    n = len(inputs)
    ids = np.array([str(i) for i in range(n)], dtype=object)
    labels = np.zeros(n, dtype=np.int64) if labels is None else np.array(labels)
    rows = [{} for _ in inputs]
    return SampleSet(ids, inputs, labels, ("a", "b"), modality, rows, np.arange(n), Source(Path("x"), "csv"), "f")


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


@pytest.mark.parametrize("size", [(16, 300), (300, 16), (4, 4), (5, 400)])
def test_views_shift_by_a_sixteenth_of_the_shorter_side(size):
    task = task_for(ModelCard("image", ("a", "b"), {"image_size": list(size), "channels": 1}))
    images = torch.arange(size[0] * size[1], dtype=torch.float32).reshape(1, 1, *size)
    _, shifted, _ = (view["images"] for view in task.views({"images": images}))
    step = max(1, min(size) // 16)
    assert torch.equal(shifted[..., :-step, :-step], images[..., step:, step:])


@pytest.mark.parametrize("size", [(1, 1), (3, 40)])
def test_images_of_very_few_pixels_have_no_views(size):
    task = task_for(ModelCard("image", ("a", "b"), {"image_size": list(size), "channels": 1}))
    assert task.views({"images": torch.zeros(2, 1, *size)}) == []


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


def test_language_model_losses_count_what_is_trained_on():
    task = task_for(ModelCard("causal_lm", ()), word_tokenizer("a b c d"))
    rows = [{"prompt": "a b", "completion": " c d"}, {"text": "a b c"}]
    batch = task.batch(make(rows, "causal_lm"), np.arange(2))
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 5, 6, 2], [3, 4, 5, 2, IGNORED]]
    outputs = torch.randn(2, 5, 7)
    losses = task.losses(outputs, batch)
    torch.testing.assert_close(losses[0], torch.nn.functional.cross_entropy(outputs[0, 1:4], torch.tensor([5, 6, 2])))
    torch.testing.assert_close(losses[1], torch.nn.functional.cross_entropy(outputs[1, :3], torch.tensor([4, 5, 2])))


@pytest.mark.parametrize("modality", ["text", "causal_lm"])
def test_a_text_model_without_tokenizer_says_how_to_give_it(modality):
    with pytest.raises(OgaError, match=r"tokenizer\.save_pretrained.*package_model\(…, tokenizer=tokenizer\)"):
        task_for(ModelCard(modality, ("a", "b")))


def word_tokenizer(words: str = "w1 w2 w3", **options):
    """A real word tokenizer that adds no token of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "</s>", *words.split()])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", eos_token="</s>", **options)


@pytest.mark.parametrize("rows", [[1], [0, 1]])
@pytest.mark.parametrize("blank", ["", "  \n", ("", "")])
def test_a_text_without_tokens_is_an_unreadable_sample(rows, blank):
    task = task_for(ModelCard("text", ("a", "b")), word_tokenizer())
    samples = make(["w1 w2" if isinstance(blank, str) else ("w1", "w2"), blank], "text")
    assert task.batch(samples, np.array([0]))["input_ids"].tolist() == [[3, 4]]
    with pytest.raises(UnreadableSample, match="the text has no tokens"):
        task.batch(samples, np.array(rows))


@pytest.mark.parametrize("modality", ["text", "causal_lm"])
def test_a_text_on_which_the_tokenizer_panics_is_an_unreadable_sample(modality):
    from tokenizers import Tokenizer as RustTokenizer

    tokenizer = word_tokenizer()
    settings = json.loads(tokenizer.backend_tokenizer.to_str())
    settings["pre_tokenizer"] = {"type": "FixedLength", "length": 0}
    tokenizer._tokenizer = RustTokenizer.from_str(json.dumps(settings))
    samples = make(["w1 w2" if modality == "text" else {"text": "w1 w2"}], modality)
    with pytest.raises(UnreadableSample, match="the tokenizer fails on the text: RuntimeError: chunk size"):
        task_for(ModelCard(modality, ("a", "b")), tokenizer).batch(samples, np.array([0]))


TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('No system role here') }}", "TemplateError: No system role here"),
        ("{{ messages[0]['content'] + 1 }}", "TypeError"),
        ("{{ messages[7]['content'].strip() }}", "UndefinedError"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
    ],
)
def test_a_conversation_that_the_chat_template_refuses_is_an_unreadable_sample(template, reason):
    task = task_for(ModelCard("causal_lm", ()), word_tokenizer(chat_template=template))
    with pytest.raises(UnreadableSample, match=f"chat template refuses the conversation: {reason}"):
        task.batch(make([{"messages": TURNS}], "causal_lm"), np.arange(1))


def test_a_chat_template_that_is_no_template_is_an_error():
    task = task_for(ModelCard("causal_lm", ()), word_tokenizer(chat_template="\n{% for %}"))
    with pytest.raises(OgaError, match=r"chat template is no valid template \(line 2"):
        task.batch(make([{"messages": TURNS}], "causal_lm"), np.arange(1))


def test_language_model_rows_are_ordered_by_length():
    from oga_core.gradients.batches import pass_order

    task = task_for(ModelCard("causal_lm", ()), word_tokenizer())
    rows = [{"text": "aardvarks"}, {"text": "a b a b a b"}, {"prompt": "a b", "completion": " a"}]
    samples = make(rows, "causal_lm")
    assert [task.length(samples, row) for row in range(3)] == [2, 7, 4]
    assert pass_order(task, samples).tolist() == [1, 2, 0]


@pytest.mark.parametrize("modality", ["text", "causal_lm", "preference"])
@pytest.mark.parametrize("length", [1, 10**9, "long"])
def test_a_length_that_nobody_can_pad_to_is_refused(modality, length):
    card = ModelCard(modality, ("a", "b"), {"max_length": length, "fixed_length": True})
    with pytest.raises(OgaError, match=f"'max_length' in the model card must be .* to 1,000,000, got {length!r}"):
        task_for(card, tokenizer=object())
