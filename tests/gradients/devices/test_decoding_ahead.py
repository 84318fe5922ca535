"""Batches are decoded while the one before is worked on: in order, no more than a few ahead, errors at their rows."""

from __future__ import annotations

import contextlib
import io
import threading
import zipfile

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, random_samples
from PIL import Image

from oga_core.gradients.batches import batches, decoders_for
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.readers.archives.zip_file import Zip
from oga_core.readers.image_inputs import member_images

PATIENCE = 20  # seconds after which what is waited for will not come


class Model(torch.nn.Module):
    """Works on a batch until the batch after it has begun to be decoded."""

    def __init__(self, task):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        self.task = task

    def forward(self, x):
        if len(x) == 5 and self.task.row_of(x[0]) == 0:  # the first whole batch
            assert self.task.second_begun.wait(PATIENCE), "nothing was decoded meanwhile"
            self.task.overlapped = True
        return self.layer(x)


class Overlapping(ArrayTask):
    def __init__(self, samples):
        super().__init__()
        self.samples = samples
        self.second_begun = threading.Event()
        self.overlapped = False

    def row_of(self, x):
        return int(np.flatnonzero((self.samples.inputs == x.numpy()).all(1))[0])

    def batch(self, samples, rows):
        if len(rows) == 5 and rows[0] == 5:
            self.second_begun.set()
        return super().batch(samples, rows)


def test_the_next_batch_is_decoded_while_the_model_works(tmp_path):
    samples = random_samples(12, 3)
    task = Overlapping(samples)
    options = PassOptions(parameters="head", batch_size=5)
    gradient_pass(task, Model(task).eval(), samples, folder=tmp_path, options=options)
    assert task.overlapped


class Counted(ArrayTask):
    """Counts its batches; as many threads as `together` must be in it at once where that is more than one."""

    def __init__(self, together=1, broken=()):
        super().__init__(broken=set(broken))
        self.begun = 0
        self.lock = threading.Lock()
        self.meeting = threading.Barrier(together)

    def batch(self, samples, rows):
        with self.lock:
            self.begun += 1
        if self.meeting.parties > 1 and len(rows) > 1 and rows[0] < 2 * self.meeting.parties:
            self.meeting.wait(PATIENCE)
        return super().batch(samples, rows)


@pytest.mark.parametrize("decoders", [1, 4])
def test_batches_come_in_order_with_what_is_wrong_at_its_row(decoders):
    samples = random_samples(20, 3)
    parts = list(np.arange(20).reshape(10, 2))
    task = Counted(together=decoders, broken=[3, 12, 13])
    loaded = list(batches(task, samples, parts, decoders))
    assert [part.rows.tolist() for part in loaded[:3]] == [[0, 1], [2], [4, 5]]
    assert loaded[6].batch is None
    assert {row for part in loaded for row in part.problems} == {3, 12, 13}
    assert loaded[1].problems[3].sample_id == "s3"
    rows = np.concatenate([part.rows for part in loaded])
    inputs = np.concatenate([part.batch["x"].numpy() for part in loaded if part.batch])
    np.testing.assert_array_equal(inputs, samples.inputs[rows])


@pytest.mark.parametrize("decoders", [1, 4])
def test_no_more_than_a_few_batches_wait_and_none_begins_after_the_end(decoders):
    samples = random_samples(100, 3)
    task = Counted()
    stream = batches(task, samples, list(np.arange(100).reshape(50, 2)), decoders)
    for taken in range(1, 6):
        next(stream)
        assert task.begun <= taken + decoders
    with contextlib.closing(stream):
        pass
    begun = task.begun
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
    assert begun <= 5 + decoders


def test_only_images_for_a_card_are_decoded_by_several_threads():
    from oga_core.tasks.image import ImageTask
    from oga_core.tasks.text import TextTask

    image = ImageTask((8, 8), 3, np.zeros(3, np.float32), np.ones(3, np.float32))
    assert decoders_for(image, torch.device("cuda")) == 4
    assert decoders_for(image, torch.device("cpu")) == 1
    assert not hasattr(TextTask, "decodes_at_once")  # tokenizers refuse to be borrowed twice


def test_images_of_an_archive_decoded_by_several_threads_are_the_same(tmp_path):
    from oga_core.tasks.image import ImageTask

    generator = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for i in range(32):
            file = io.BytesIO()
            Image.fromarray(generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(file, "JPEG")
            archive.writestr(f"{i:02}.jpg", file.getvalue())
    inputs = member_images(Zip(tmp_path / "images.zip"), [f"{i:02}.jpg" for i in range(32)])
    samples = random_samples(32, 3)
    object.__setattr__(samples, "inputs", inputs)
    task = ImageTask((16, 16), 3, np.zeros(3, np.float32), np.ones(3, np.float32))
    parts = list(np.arange(32).reshape(16, 2))
    one, several = ([part.batch["images"] for part in batches(task, samples, parts, n)] for n in (1, 4))
    assert all(torch.equal(first, other) for first, other in zip(one, several, strict=True))
    assert len(torch.cat(one)) == 32
