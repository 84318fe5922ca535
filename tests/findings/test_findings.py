from dataclasses import replace

import numpy as np
import pytest
from problems import blobs, sketch_of

from oga_core.errors import OgaError
from oga_core.findings.duplicates import near_duplicates
from oga_core.findings.kinds import AMBIGUOUS, DUPLICATE, KINDS, MISLABELLED, NONE, STRANGE, find
from oga_core.findings.noise import estimate_noise, least_moved
from oga_core.findings.set_warnings import set_warnings
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import sparse_inverse
from oga_core.scores.ensemble import has_memorised, is_informative, mean_probabilities
from oga_core.scores.estimators.confident import most_confident_class

NAMES = ("ant", "bee", "cow")


@pytest.fixture(scope="module")
def problem():
    return blobs(1000, flipped=0.1)


def test_wrong_labels_are_found_with_the_right_suggestion(problem):
    sketch, wrong = problem
    findings = find(sketch)
    mislabelled = findings.kind == MISLABELLED
    assert wrong[mislabelled].mean() > 0.9
    assert mislabelled[wrong].mean() > 0.8
    # The problem's model sees the true classes.
    assert (findings.suggested_label[mislabelled & wrong] == sketch.logits.argmax(1)[mislabelled & wrong]).mean() > 0.95
    assert (findings.suggested_probability[mislabelled] > findings.given_probability[mislabelled]).all()
    assert set(findings.kind) <= set(KINDS)


def test_a_twin_with_another_label_comes_first(problem):
    sketch, _ = problem
    pair = np.flatnonzero(sketch.given_labels == 0)[0]
    twice = sketch.take(np.append(np.arange(len(sketch)), pair))
    twice = replace(twice, given_labels=np.append(sketch.given_labels, 1))
    findings = find(twice)
    assert findings.kind[pair] == findings.kind[-1] == DUPLICATE
    assert findings.duplicate_of[pair] == len(sketch)
    assert findings.duplicate_of[-1] == pair
    ids = [f"s{i}" for i in range(len(twice))]
    assert findings.sentence(pair, NAMES, ids) == "Nearly the same as s1000, which is labelled bee, this one ant."


def test_a_sample_between_two_classes_is_ambiguous():
    sketch, _ = blobs(1000, flipped=0.0)
    features = sketch.features.copy()
    features[0] = (features[sketch.given_labels == 0].mean(0) + features[sketch.given_labels == 1].mean(0)) / 2
    logits = sketch.logits.copy()
    logits[0] = [3, 3, 0]
    labels = sketch.given_labels.copy()
    labels[0] = 0
    findings = find(sketch_of(features, logits, labels))
    assert findings.kind[0] == AMBIGUOUS
    assert "ant" in findings.sentence(0, NAMES, range(1000))
    assert "bee" in findings.sentence(0, NAMES, range(1000))


def test_classes_that_are_all_improbable_or_far_apart_are_not_ambiguous(problem):
    sketch, _ = problem
    findings = find(replace(sketch, logits=sketch.logits * 0.3))
    ambiguous = findings.kind == AMBIGUOUS
    assert 0 < ambiguous.mean() < 0.1
    assert findings.given_probability[ambiguous].min() >= 0.3
    assert findings.suggested_probability[ambiguous].min() >= 0.3


def test_a_class_that_is_hardly_likelier_than_the_given_one_makes_no_sample_mislabelled():
    sketch, _ = blobs(1000, flipped=0.3)
    sketch = replace(sketch, logits=sketch.logits * 0.3)
    findings = find(sketch)
    gap = findings.suggested_probability - findings.given_probability
    assert gap[findings.kind == MISLABELLED].min() > 0.2
    likely = most_confident_class(mean_probabilities(sketch), sketch.given_labels)
    close = (likely >= 0) & (likely != sketch.given_labels) & (gap <= 0.2)
    assert close.any()
    assert MISLABELLED not in findings.kind[close]


@pytest.mark.parametrize("label", [0, 1])
def test_far_samples_are_strange_whatever_the_model_says_and_less_far_ones_are_not(label):
    sketch, _ = blobs(1000, flipped=0.0)
    features, logits, labels = sketch.features.copy(), sketch.logits.copy(), sketch.given_labels.copy()
    labels[:2] = label, 0
    features[0], logits[0] = [30, 0, 0, 0, 0, 0, 0, 25], [14, 0, 0]
    usual = features[sketch.given_labels == 0].mean(0)
    features[1], logits[1] = usual + np.array([0, 0, 0, 0, 0, 0, 0, 3.8], dtype=np.float32), [14, 0, 0]
    findings = find(replace(sketch_of(features, logits, labels), view_features=None, middle_features=None))
    assert findings.unusualness[0] > 4.5 > findings.unusualness[1] > 1.5
    assert findings.kind[:2].tolist() == [STRANGE, NONE]
    assert findings.sentence(0, NAMES, range(1000)).startswith("Unlike most other samples, so what the model makes")


def test_what_only_the_middle_layers_see_is_strange_too():
    sketch, _ = blobs(1000, flipped=0.0)
    more = np.random.default_rng(0).normal(size=(1000, 200)).astype(np.float32)
    more[0] += 5
    sketch = replace(sketch, middle_features=np.concatenate([sketch.features, more], axis=1))
    assert not has_memorised(sketch)
    assert find(sketch).kind[0] == STRANGE


def test_foreign_samples_are_strange_though_they_come_in_a_batch_and_are_near_to_one_another():
    sketch, _ = blobs(1000, flipped=0.0)
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(1000, 40)).astype(np.float32)
    middle[:30] = middle[0] + 9 + 0.6 * rng.normal(size=(30, 40)).astype(np.float32)
    kinds = find(replace(sketch, middle_features=middle)).kind
    assert np.mean(kinds[:30] == STRANGE) > 0.9
    assert np.mean(kinds[30:] == STRANGE) < 0.01


def test_the_order_of_the_samples_does_not_matter(problem):
    sketch, _ = problem
    order = np.random.default_rng(0).permutation(len(sketch))
    np.testing.assert_array_equal(find(sketch.take(order)).kind, find(sketch).kind[order])


def test_warnings_name_the_class_and_the_group_that_are_flagged_too_often(problem):
    sketch, _ = problem
    flagged = np.zeros(len(sketch), dtype=bool)
    flagged[np.flatnonzero(sketch.given_labels == 2)[:150]] = True
    site = np.where(flagged, "north", np.where(np.arange(len(sketch)) % 2, "south", "west"))
    warnings = set_warnings(sketch, flagged, NAMES, {"site": site, "id": np.arange(len(sketch))})
    assert [warning.split(":")[0] for warning in warnings] == ["Class cow", "site = north"]


def test_flags_spread_by_chance_give_no_warning(problem):
    sketch, _ = problem
    flagged = np.random.default_rng(0).random(len(sketch)) < 0.1
    assert set_warnings(sketch, flagged, NAMES, {"site": np.arange(len(sketch)) % 3}) == []


def test_a_group_that_is_flagged_a_little_more_often_is_no_warning_however_large_it_is():
    n = 80_000
    zeros = np.zeros((n, 1), dtype=np.float32)
    sketch = GradientSketch(given_labels=np.zeros(n, dtype=np.int64), losses=zeros[:, 0], sketch=zeros)
    place = np.arange(n) // 2
    for often, warned in ((0.12, 0), (0.4, 1)):
        flagged = np.where(np.arange(n) % 2, place < often * n / 2, place < 0.1 * n / 2)
        groups = {"site": np.where(np.arange(n) % 2, "north", "south")}
        assert len(set_warnings(sketch, flagged, ["only"], groups)) == warned


def test_a_memorised_model_is_warned_of(problem):
    sketch, _ = problem
    learnt = replace(sketch, logits=9 * np.eye(3, dtype=np.float32)[sketch.given_labels], view_logits=None)
    warning = set_warnings(learnt, np.zeros(len(sketch), dtype=bool), NAMES)[0]
    assert "memorised" in warning
    assert "uses middle layers instead" in warning
    blind = replace(learnt, middle_features=None)
    warning = set_warnings(blind, np.zeros(len(sketch), dtype=bool), NAMES)[0]
    assert "memorised" in warning
    assert "middle layers" not in warning
    assert "leave out each sample's label" in warning


def test_a_model_that_tells_nothing_is_said_to():
    sketch, _ = blobs(600, flipped=0.1)
    blank = sketch_of(np.ones_like(sketch.features), np.tile(sketch.logits[:1], (600, 1)), sketch.given_labels)
    noise = estimate_noise(blank)
    assert (noise.rate, noise.low) == (0, 0)
    assert noise.high > 0.6
    assert "tells nothing" in set_warnings(blank, np.zeros(600, dtype=bool), NAMES)[0]
    assert set(find(blank).kind) == {NONE}
    guess = replace(sketch, given_labels=np.random.default_rng(0).permutation(sketch.given_labels))
    assert not is_informative(guess)
    assert is_informative(sketch)


def many_classes():
    """Three samples of each of 200 classes, of whose labels the logits know nearly all and the features nothing."""
    random = np.random.default_rng(0)
    labels = np.arange(600) % 200
    logits = random.normal(size=(600, 200)).astype(np.float32)
    logits[np.arange(600), labels] += 5
    return sketch_of(random.normal(size=(600, 16)).astype(np.float32), logits, labels)


def test_a_model_that_agrees_is_not_said_to_agree_by_chance():
    sketch = many_classes()
    share = float((sketch.logits.argmax(axis=1) == sketch.given_labels).mean())
    assert share > 0.9
    assert not is_informative(sketch)
    warning = set_warnings(sketch, np.zeros(600, dtype=bool), [str(i) for i in range(200)])[0]
    assert f"agrees with {share:.1%} of the labels" in warning
    assert "too few samples of each class" in warning
    assert "tells nothing" not in warning


def test_what_moved_the_labels_is_inverted_as_by_least_squares():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(12), 500)
    labels = np.argmax(probabilities + 0.3 * random.random((500, 12)), axis=1)
    moved = least_moved(probabilities, labels)
    np.testing.assert_allclose(sparse_inverse(moved), np.linalg.pinv(moved), atol=1e-9)
    singular = np.full((12, 12), 1 / 12)
    np.testing.assert_allclose(sparse_inverse(singular), np.linalg.pinv(singular), atol=1e-9)


def test_a_rare_class_that_is_found_is_no_chance():
    labels = (np.arange(1000) < 10).astype(np.int64)
    logits = np.zeros((1000, 2), dtype=np.float32)
    logits[:, 1] = np.where(np.arange(1000) < 50, 4, -4)
    assert is_informative(sketch_of(logits.copy(), logits, labels))


def test_twins_are_the_nearest_of_all():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 10)).astype(np.float32)
    features[7], features[2900] = features[1500] + 1e-4, features[3]
    duplicate, distance = near_duplicates(features)
    assert duplicate[7] == 1500
    assert duplicate[1500] == 7
    assert duplicate[3] == 2900
    assert distance[3] == pytest.approx(0, abs=1e-3)
    assert np.median(distance) == pytest.approx(1, abs=0.1)
    assert (duplicate >= 0).sum() == 4


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("noise", [0, 1e-3])
def test_twins_are_found_however_many_there_are(share, noise):
    rng = np.random.default_rng(0)
    features, n_copied = rng.normal(size=(1000, 40)).astype(np.float32), int(share * 1000)
    copies = features[:n_copied] + noise * rng.normal(size=(n_copied, 40)).astype(np.float32)
    duplicate, _ = near_duplicates(np.concatenate([features, copies]))
    assert (duplicate[:n_copied] == np.arange(1000, 1000 + n_copied)).all()
    assert (duplicate[n_copied:1000] == -1).all()


def test_many_copies_of_one_sample_are_twins_and_the_others_are_not():
    features = np.random.default_rng(0).normal(size=(2000, 40)).astype(np.float32)
    duplicate, _ = near_duplicates(np.concatenate([features, np.repeat(features[:1], 3000, axis=0)]))
    assert duplicate[0] >= 2000
    assert (duplicate[1:2000] == -1).all()
    assert (duplicate[2000:] >= 0).all()


def test_copies_that_differ_in_their_last_digits_do_not_set_the_usual_distance():
    rng = np.random.default_rng(0)
    copied, others = rng.normal(size=(60, 40)), rng.normal(size=(300, 40))
    copies = np.repeat(copied, 40, axis=0) + 3e-4 * rng.normal(size=(2400, 40))
    duplicate, _ = near_duplicates(np.concatenate([copies, others]).astype(np.float32))
    assert (duplicate[:2400] >= 0).all()
    assert (duplicate[2400:] == -1).all()


def test_chance_makes_no_twins_in_few_dimensions():
    features = np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32)
    assert (near_duplicates(features)[0] >= 0).mean() < 0.001


def test_a_slightly_changed_copy_is_a_twin():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 40)).astype(np.float32)
    features[0] = features[1] + 0.1 * rng.normal(size=40)
    duplicate, distance = near_duplicates(features)
    assert distance[0] > 0.05
    assert duplicate[:2].tolist() == [1, 0]


def test_one_sample_has_no_twin():
    assert near_duplicates(np.ones((1, 4), dtype=np.float32))[0].tolist() == [-1]
    assert near_duplicates(np.ones((3, 4), dtype=np.float32))[0].tolist() == [-1, -1, -1]
    assert near_duplicates(np.eye(2, dtype=np.float32))[0].tolist() == [-1, -1]


def test_without_logits_the_person_is_told(problem):
    blind = replace(problem[0], logits=None)
    with pytest.raises(OgaError, match="needs class logits"):
        estimate_noise(blind)
    with pytest.raises(OgaError, match="need class logits"):
        find(blind)
