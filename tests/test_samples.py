from pathlib import Path

import numpy as np
import pytest

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.samples import SampleSet, Source


def make(labels: list[int], names: tuple[str, ...]) -> SampleSet:
    n = len(labels)
    ids = np.array([f"s{i}" for i in range(n)], dtype=object)
    inputs = [f"text {i}" for i in range(n)]
    rows = [{"id": i} for i in ids]
    source = Source(Path("x.csv"), "csv")
    return SampleSet(ids, inputs, np.array(labels), names, "text", rows, np.arange(n), source, "f")


@pytest.mark.parametrize(
    ("names", "model", "expected"),
    [
        (("a", "b"), ("a", "b"), [0, 1]),
        (("a", "b"), ("b", "c", "a"), [2, 0]),
        (("Cat", " dog"), ("DOG", "cat"), [1, 0]),
        (("1", "0"), ("no", "yes"), [1, 0]),
        (("0", "10", "2"), tuple("abcdefghijk"), [0, 10, 2]),
    ],
)
def test_labels_are_numbered_as_the_model_numbers_its_classes(names, model, expected):
    samples = make(list(range(len(names))), names).with_classes(model)
    assert samples.given_labels.tolist() == expected
    assert samples.class_names == model


def test_labels_that_the_model_does_not_know_are_named():
    with pytest.raises(OgaError, match=r"1 label\(s\) that the model does not know: 'bird'"):
        make([0, 1], ("cat", "bird")).with_classes(("cat", "dog"))


def test_taking_samples_twice_keeps_everything_aligned():
    samples = make([0, 1, 0, 1], ("a", "b")).take(np.array([3, 1, 0])).take(np.array([2, 0]))
    assert samples.ids.tolist() == ["s0", "s3"]
    assert [samples.inputs[i] for i in range(2)] == ["text 0", "text 3"]
    assert samples.rows[1] == {"id": "s3"}
    assert samples.row_numbers.tolist() == [0, 3]


def test_a_card_survives_its_json():
    card = ModelCard("image", ("a", "b"), {"image_size": [8, 8]})
    assert ModelCard.from_json(card.to_json(), "x") == card


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"modality": "audio"}', "'audio'. Choose one of: image"),
        ('{"modality": "image", "classes": "ab"}', "must be a list"),
        ('{"modality": "image", "classes": ["a", "a"]}', "names a class twice"),
        ('{"modality": "image", "input": []}', "must be an object"),
    ],
)
def test_a_wrong_card_says_what_is_wrong(text, message):
    with pytest.raises(OgaError, match=message):
        ModelCard.from_json(text, "card.json")
