"""Near-duplicates by the look of images and by the letters of texts."""

import numpy as np
import pytest
import torch
from copies import COPIES, recall_and_precision
from problems import blobs
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from oga_core.findings.image_duplicates import image_duplicates
from oga_core.findings.kinds import DUPLICATE, duplicates, find
from oga_core.findings.text_duplicates import text_duplicates
from oga_core.pipeline.signatures import HASHES, plain, signatures
from oga_core.tasks.thumbnails import thumbnails


def small(images):
    return thumbnails({"images": torch.from_numpy(images).permute(0, 3, 1, 2).float()})["thumbnails"].numpy()


@pytest.fixture(scope="module")
def photographs():
    """Patterns with as much detail as photographs have, coarse and fine."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(600, 40, 40))
    grey = sum(width * gaussian_filter(noise, (0, width, width)) for width in (0.7, 1.5, 3, 6))[:, 4:-4, 4:-4]
    low, high = grey.min((1, 2), keepdims=True), grey.max((1, 2), keepdims=True)
    tints = rng.uniform(0.6, 1, (600, 1, 1, 3))
    return (20 + 200 * tints * ((grey - low) / (high - low))[..., None]).astype(np.uint8)


@pytest.mark.parametrize("kind", COPIES)
def test_copies_of_every_kind_are_found_and_nothing_else(photographs, kind):
    source = np.random.default_rng(1).choice(len(photographs), 60, replace=False)
    copies = np.stack([COPIES[kind](photographs[row]) for row in source])
    found = image_duplicates(small(np.concatenate([photographs, copies])))
    recall, precision = recall_and_precision(found, len(photographs), source)
    assert recall >= 0.95
    assert precision == 1


def test_alike_is_not_the_same():
    digits = load_digits().images[:1000].astype(np.uint8) * 15
    large = np.repeat(np.repeat(digits, 4, axis=1), 4, axis=2)[..., None].repeat(3, axis=3)
    assert (image_duplicates(small(large)) >= 0).mean() < 0.02


def test_even_and_few_images_have_none():
    even = np.full((20, 32, 32), 128, dtype=np.uint8)
    assert (image_duplicates(even) == -1).all()
    assert image_duplicates(even[:1]).tolist() == [-1]
    assert image_duplicates(even[:2]).tolist() == [-1, -1]


def test_thumbnails_do_not_depend_on_size_or_brightness(photographs):
    images = torch.from_numpy(photographs[:5]).permute(0, 3, 1, 2).float()
    large = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = thumbnails({"images": images})["thumbnails"]
    for batch in (large, images / 255 - 0.5, images * 0.3):
        assert (thumbnails({"images": batch})["thumbnails"].int() - expected.int()).abs().max() <= 1
    assert thumbnails({"images": images[..., :8, :8]}) == {}
    assert thumbnails({"input_ids": images}) == {}


TEXTS = [
    "The pump in hall 3 failed again on Monday, and nobody knew why.",
    "the pump in hall 3 failed again, on monday - and nobody knew why",
    "The pump in hall 3 faled again on Monday, and nobody knew why.",
    "The pump in hall 7 was replaced on Friday after a long wait for parts.",
    "What is the balance of my account?",
    "What is the balance of my savings card?",
    "Ｗhat　is the balance of MY account?!",
    "!!!",
    "???",
]


def test_texts_are_the_same_but_for_case_punctuation_spaces_width_and_a_slip():
    found = text_duplicates(signatures(TEXTS))
    assert set(found[:3]) <= {0, 1, 2}
    assert found[0] == 1
    assert (found[4], found[6]) == (6, 4)
    assert (found[[3, 5, 7, 8]] == -1).all()
    assert plain(TEXTS[0]) == plain(TEXTS[1])


def test_copies_among_many_texts_are_found():
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(500)])
    texts = [" ".join(rng.choice(words, 15)) for _ in range(2000)]
    copies = [text[:40] + "x" + text[41:] for text in texts[:200]]
    found = text_duplicates(signatures(texts + copies))
    recall, precision = recall_and_precision(found, 2000, np.arange(200))
    assert recall > 0.95
    assert precision == 1


def test_a_pair_of_texts_and_one_very_long_text_have_a_signature():
    pair, long = signatures([("a question", "an answer"), "word " * 100_000])
    assert len(pair) == len(long) == HASHES
    assert (signatures([["a question", "an answer"]])[0] == pair).all()


def test_findings_take_what_was_kept_of_the_samples(photographs):
    from dataclasses import replace

    sketch, _ = blobs(600, flipped=0.0)
    pictures = small(photographs)
    pictures[7] = pictures[3]
    seen = replace(sketch, thumbnails=pictures)
    assert np.flatnonzero(duplicates(seen) >= 0).tolist() == [3, 7]
    assert find(seen).kind[[3, 7]].tolist() == [DUPLICATE, DUPLICATE]
    texts = [f"Sample {number * 7919} of many" for number in range(600)]
    texts[9] = texts[4].upper()
    assert duplicates(replace(sketch, signatures=signatures(texts)))[[4, 9]].tolist() == [9, 4]
