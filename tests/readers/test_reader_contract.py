"""What holds for every reader, checked on the same small data set in every format."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from reader_sets import CASES, CLASSES, N_SAMPLES, TEXTS, Case, picture

from oga_core.readers import read_samples
from oga_core.samples import SampleSet


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return CASES[request.param](tmp_path)


def read(case: Case, **options: object) -> SampleSet:
    return read_samples(case.path, **{**case.options, **options})


def test_ids_labels_and_order_are_those_of_the_data(case: Case) -> None:
    samples = read(case)
    assert samples.ids.tolist() == case.ids
    assert (samples.modality, samples.source.format) == (case.modality, case.format)
    assert len(samples) == len(samples.inputs) == len(samples.rows) == len(samples.row_numbers) == N_SAMPLES
    assert not samples.problems
    if case.labels:
        assert [samples.class_names[label] for label in samples.given_labels] == case.labels
        assert set(samples.class_names) == set(CLASSES)
    else:
        assert (samples.given_labels == -1).all()
        assert samples.class_names == ()


def test_a_path_may_be_a_text(case: Case) -> None:
    options = {key: str(value) if isinstance(value, Path) else value for key, value in case.options.items()}
    samples = read_samples(str(case.path), **options)
    assert samples.ids.tolist() == case.ids
    assert repr_of(samples.inputs[0]) == repr_of(read(case).inputs[0])


def test_inputs_are_the_ones_written(case: Case) -> None:
    samples = read(case)
    first = samples.inputs[1]
    if case.modality == "image":
        number = int("".join(character for character in case.ids[1] if character.isdecimal())[-3:])
        assert first.mode == "RGB"
        assert np.array_equal(np.asarray(first), np.asarray(picture(number)))
    elif case.modality == "text":
        assert first in (TEXTS[1], (TEXTS[1], TEXTS[1]))
    elif case.modality == "tabular":
        assert all(isinstance(value, str) for value in first.values())
        assert "class" not in first
        assert "target" not in first
    elif case.modality == "causal_lm":
        assert set(first) in ({"prompt", "completion"}, {"messages"})
    else:
        assert {key: value.dtype for key, value in first.items()} == {"features": np.float32, "logits": np.float32}


def test_every_input_and_row_can_be_read_from_several_threads(case: Case) -> None:
    samples = read(case)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: (repr_of(samples.inputs[i]), dict(samples.rows[i])), range(N_SAMPLES)))
    assert together == [(repr_of(samples.inputs[i]), dict(samples.rows[i])) for i in range(N_SAMPLES)]


def repr_of(value: object) -> object:
    return value.tobytes() if hasattr(value, "tobytes") else repr(value)


def test_taking_samples_keeps_everything_together(case: Case) -> None:
    samples = read(case)
    some = samples.take(np.array([5, 2, 17]))
    again = some.take(np.array([2, 0]))
    assert again.ids.tolist() == [case.ids[17], case.ids[5]]
    assert again.rows[0] == samples.rows[17]
    assert again.row_numbers.tolist() == samples.row_numbers[[17, 5]].tolist()
    assert repr_of(again.inputs[1]) == repr_of(samples.inputs[5])
    assert again.given_labels.tolist() == samples.given_labels[[17, 5]].tolist()


def test_labels_can_be_numbered_as_a_model_does(case: Case) -> None:
    order = ("dog", "bird", "NA", "cat")
    samples = read(case).with_classes(order)
    if case.labels:
        assert [order[label] for label in samples.given_labels] == case.labels


def test_the_fingerprint_is_of_the_content_and_the_options(case: Case) -> None:
    first = read(case).fingerprint
    assert read(case).fingerprint == first
    assert read(case, max_samples=5).fingerprint != first


def test_a_part_is_spaced_evenly_and_says_so(case: Case) -> None:
    samples = read(case, max_samples=6)
    assert samples.ids.tolist() == case.ids[::4]
    assert any("6 of 24 samples" in note for note in samples.notes)
    assert repr_of(samples.inputs[1]) == repr_of(read(case).inputs[4])
    if case.labels:
        assert [samples.class_names[label] for label in samples.given_labels] == case.labels[::4]
