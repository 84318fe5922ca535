"""Images with masks, from folders, tables and archives to class indices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mask_runs import png, write_zip
from mask_sets import CLASSES

from oga_core.errors import OgaError, UnreadableSample, UntrainedSample
from oga_core.models.card import ModelCard
from oga_core.previews import look, recognition
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks.segmentation.mask_task import MaskTask

IMAGE = np.full((4, 6, 3), 200, dtype=np.uint8)
MASK = np.array([[0, 1, 2, 3, 255, 0]] * 4, dtype=np.uint8)


def card(**loss: object) -> ModelCard:
    content = {"modality": "image", "classes": CLASSES, "input": {"image_size": [4, 6]}}
    return ModelCard.from_json(json.dumps({**content, "loss": {"name": "pixel_cross_entropy", **loss}}), "test")


def fitted(path: Path, members: dict[str, bytes], **loss: object) -> SampleSet:
    return card(**loss).fitted(read_samples(write_zip(path / "d.zip", members)))[0]


def pairs(mask: bytes, count: int = 1) -> dict[str, bytes]:
    names = [f"set/{folder}/a{i}.png" for i in range(count) for folder in ("images", "masks")]
    return {name: png(IMAGE) if "images" in name else mask for name in names}


@pytest.mark.parametrize("palette", [False, True])
def test_masks_are_class_indices_and_255_is_none(tmp_path: Path, palette: bool) -> None:
    samples = fitted(tmp_path, pairs(png(MASK, palette)))
    assert samples.masks is not None
    assert samples.masks[0][0].tolist() == [0, 1, 2, 3, -1, 0]
    assert (samples.target, samples.class_names) == ("mask", CLASSES)
    assert samples.label_text(0) == " | ".join(CLASSES)
    assert dict(samples.rows[0]) == {"image": "set/images/a0.png", "mask": "set/masks/a0.png"}
    batch = MaskTask.from_card(card()).batch(samples, np.array([0]))
    assert batch["labels"][0, 0].tolist() == [0, 1, 2, 3, -100, 0]


def test_the_card_says_what_is_no_class(tmp_path: Path) -> None:
    samples = fitted(tmp_path, pairs(png(np.where(MASK == 255, 0, MASK).astype(np.uint8))), ignore=0)
    assert samples.masks is not None
    assert samples.masks[0][0].tolist() == [-1, 1, 2, 3, -1, -1]


def test_classes_match_by_name_and_without_names_by_number(tmp_path: Path) -> None:
    other = {"0": "square", "1": "background", "2": "disc"}
    named = {**pairs(png(np.minimum(MASK, 2))), "set/classes.json": json.dumps(other).encode()}
    samples = fitted(tmp_path, named)
    assert samples.masks is not None
    assert samples.masks[0][0].tolist() == [2, 0, 1, 1, 1, 2]
    named["set/classes.json"] = b'["background", "cat", "disc"]'
    with pytest.raises(OgaError, match="names the class 'cat', which the model does not know"):
        fitted(tmp_path, named)
    named["set/classes.json"] = b'{"background": 0, "disc": 7}'
    with pytest.raises(OgaError, match=r"set/classes.json is no list of classes"):
        fitted(tmp_path, named)
    bare = ModelCard.from_json('{"modality": "image", "loss": "pixel_cross_entropy"}', "test")
    found, completed = bare.fitted(read_samples(write_zip(tmp_path / "b.zip", pairs(png(MASK)))))
    assert found.class_names == completed.classes == ("0", "1", "2", "3")


def test_a_table_names_images_and_masks(tmp_path: Path) -> None:
    table = b"file_name,mask,city\nleft/a.png,right/x.png,Rome\nleft/a.png,right/none.png,Rome\n"
    members = {"left/a.png": png(IMAGE), "right/x.png": png(MASK), "metadata.csv": table}
    with pytest.raises(OgaError, match=r"has no mask 'right/none\.png'"):
        read_samples(write_zip(tmp_path / "d.zip", members))
    members["metadata.csv"] = b"id,file_name,mask\n7,left/a.png,right/x.png\n"
    samples = read_samples(write_zip(tmp_path / "d.zip", members), id_column="id")
    assert samples.ids.tolist() == ["7"]
    assert samples.source.columns == {"id": "id", "image": "file_name", "mask": "mask", "table": "metadata.csv"}


def test_images_without_a_mask_are_counted_and_too_many_refused(tmp_path: Path) -> None:
    members = pairs(png(MASK), 30)
    del members["set/masks/a3.png"]
    members["set/masks/other.png"] = png(MASK)
    samples = read_samples(write_zip(tmp_path / "d.zip", members))
    assert len(samples) == 29
    assert [(problem.row, problem.reason) for problem in samples.problems] == [(3, "it has no mask set/masks/a3.png")]
    assert samples.notes == ("1 mask(s) have no image and were left out: 'set/masks/other.png'.",)
    for i in range(2):
        del members[f"set/masks/a{i}.png"]
    with pytest.raises(OgaError, match=r"3 of 30 rows of d\.zip cannot be used"):
        read_samples(write_zip(tmp_path / "d.zip", members))


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (png(MASK[:2]), "its mask has 6 × 2 pixels and its image 6 × 4; they must be equal"),
        (png(np.full((4, 6), 9, dtype=np.uint8)), r"its mask holds 9, and the 4 classes have the numbers 0 to 3"),
        (png(IMAGE), r"its mask is in colours \(RGB\) without a palette; save the index of each pixel's class"),
        (b"GIF89a", "damaged image|not an image"),
    ],
)
def test_bad_masks_are_refused_in_words(tmp_path: Path, mask: bytes, said: str) -> None:
    samples = fitted(tmp_path, pairs(mask))
    with pytest.raises(UnreadableSample, match=said):
        MaskTask.from_card(card()).batch(samples, np.array([0]))


def test_a_mask_without_any_class_trains_nothing(tmp_path: Path) -> None:
    samples = fitted(tmp_path, pairs(png(np.full((4, 6), 255, dtype=np.uint8))))
    with pytest.raises(UntrainedSample, match="no pixel of its mask has a class"):
        MaskTask.from_card(card()).batch(samples, np.array([0]))


def test_data_and_loss_must_be_of_the_same_kind(tmp_path: Path) -> None:
    masked = read_samples(write_zip(tmp_path / "d.zip", pairs(png(MASK))))
    plain = ModelCard("image", CLASSES)
    with pytest.raises(OgaError, match='put "loss": "pixel_cross_entropy" into the model card'):
        plain.fitted(masked)
    folders = {f"{name}/{i}.png": png(IMAGE) for name in CLASSES for i in range(2)}
    with pytest.raises(OgaError, match=r"has no masks\. Put the images into a folder 'images'"):
        fitted(tmp_path, folders)
    with pytest.raises(OgaError, match="'ignore' of the loss in the model card test must be a number from 0"):
        card(ignore=-1)


def test_the_run_page_says_what_the_files_are(tmp_path: Path) -> None:
    content = recognition.run({"path": str(write_zip(tmp_path / "d.zip", pairs(png(MASK), 3)))}, lambda event: None)
    assert (content["kind"], content["about"]) == ("samples", "6 files of images and masks")
    seen = look.run({"path": str(tmp_path / "d.zip"), "options": {}, "card": card().to_json()}, lambda event: None)
    assert (seen["n_masks"], seen["classes"]) == (3, [(name, 3) for name in CLASSES])


def test_masks_of_another_size_than_the_model_take_the_nearest_pixel(tmp_path: Path) -> None:
    large = np.kron(MASK, np.ones((3, 3), dtype=np.uint8))
    members = {"images/a.png": png(np.full((12, 18, 3), 9, dtype=np.uint8)), "masks/a.png": png(large)}
    batch = MaskTask.from_card(card()).batch(fitted(tmp_path, members), np.array([0]))
    assert batch["labels"][0, 0].tolist() == [0, 1, 2, 3, -100, 0]
