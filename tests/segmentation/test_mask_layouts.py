"""Where images and their masks lie in sets as they are published, and what is said of what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mask_runs import png, write_zip

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.previews import look, recognition
from oga_core.readers import read_samples
from oga_core.samples import SampleSet

IMAGE = png(np.full((3, 4, 3), 200, dtype=np.uint8))
MASK = png(np.array([[0, 1, 2, 0]] * 3, dtype=np.uint8))
LAYOUTS = {
    "plain": (("images/a.png", "masks/a.png"), ("images/b/c.jpg", "masks/b/c.png")),
    "ADE20K": (("ade/images/training/a.jpg", "ade/annotations/training/a.png"),),
    "Pascal VOC": (("VOC/JPEGImages/2007_1.jpg", "VOC/SegmentationClass/2007_1.png"),),
    "Oxford pets": (("images/c.jpg", "annotations/trimaps/c.png"), ("images/b.jpg", "annotations/trimaps/b.png")),
    "Carvana": (("train/a_01.jpg", "train_masks/a_01_mask.png"), ("train/a_02.jpg", "train_masks/a_02_mask.png")),
    "CamVid": (("CamVid/train/f1.png", "CamVid/trainannot/f1.png"),),
    "beside": (("slides/p1/x.tif", "slides/p1/x_mask.tif"), ("slides/p2/y.tif", "slides/p2/y_mask.tif")),
    "DeepGlobe": (("train/855_sat.jpg", "train/855_mask.png"), ("train/86_sat.jpg", "train/86_mask.png")),
    "two sets": (("a/x.png", "a_masks/x.png"), ("b/x.png", "b_masks/x.png")),
    "patients": (("p1/images/a.png", "p1/masks/a.png"), ("p2/images/a.png", "p2/masks/a.png")),
}  # fmt: skip


def members(pairs: tuple[tuple[str, str], ...]) -> dict[str, bytes]:
    return {name: content for pair in pairs for name, content in zip(pair, (IMAGE, MASK), strict=True)}


def names(samples: SampleSet) -> list[tuple[str, str]]:
    return [(row["image"], row["mask"]) for row in (samples.rows[i] for i in range(len(samples)))]


@pytest.mark.parametrize("name", LAYOUTS)
def test_images_find_their_masks(name: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "d.zip", members(LAYOUTS[name]))
    assert sorted(names(read_samples(path))) == sorted(LAYOUTS[name])
    assert "images and masks" in recognition.run({"path": str(path)}, lambda event: None)["about"]
    seen = look.run({"path": str(path), "options": {}, "card": None}, lambda event: None)
    assert seen["n_masks"] == len(LAYOUTS[name])
    assert [shown["label"] for shown in seen["samples"]] == ["0 | 1 | 2"] * len(LAYOUTS[name])


@pytest.mark.parametrize(
    ("train", "other"),
    [
        (("train/images/a.png", "train/masks/a.png"), ("val/images/b.png", "val/masks/b.png")),
        (("images/training/a.png", "annotations/training/a.png"), ("images/test/b.png", "annotations/test/b.png")),
        (("Train/a.png", "Train/a_mask.png"), ("test/b.png", "test/b_mask.png")),
        (("train/a.png", "train_labels/a.png"), ("val/b.png", "val_labels/b.png")),
    ],
)  # fmt: skip
def test_the_training_part_is_read(train: tuple[str, str], other: tuple[str, str], tmp_path: Path) -> None:
    path = write_zip(tmp_path / "d.zip", members((train, other)))
    samples = read_samples(path)
    assert names(samples) == [train]
    assert samples.notes[0].startswith("Read from the training part; left out: ")


def test_of_several_parts_one_must_be_for_training(tmp_path: Path) -> None:
    files = members((("val/images/a.png", "val/masks/a.png"), ("test/images/a.png", "test/masks/a.png")))
    with pytest.raises(OgaError, match="but no 'train'"):
        read_samples(write_zip(tmp_path / "d.zip", files))


def test_a_table_as_hugging_face_writes_it(tmp_path: Path) -> None:
    table = b"image_file_name,mask_file_name\nraw/a.png,drawn/m.png\n"
    files = {"train/metadata.csv": table, "train/raw/a.png": IMAGE, "train/drawn/m.png": MASK}
    samples = read_samples(write_zip(tmp_path / "d.zip", files))
    assert samples.masks is not None
    assert (samples.inputs[0].size, samples.masks[0].shape) == ((4, 3), (3, 4))
    assert samples.source.columns["mask"] == "mask_file_name"


def test_a_table_that_names_no_masks_leaves_the_folders_what_they_are(tmp_path: Path) -> None:
    files = {**members(LAYOUTS["plain"]), "metadata.csv": b"file_name,camera\na.png,left\n"}
    assert len(read_samples(write_zip(tmp_path / "d.zip", files))) == 2


def test_folders_of_classes_stay_classes(tmp_path: Path) -> None:
    files = {f"{folder}/{i}_{name}.png": IMAGE for i, folder in enumerate(("mask", "bare")) for name in ("x", "y")}
    samples = read_samples(write_zip(tmp_path / "d.zip", files))
    assert samples.masks is None
    assert samples.class_names == ("bare", "mask")
    few = {**files, "bare/1_x_mask.png": MASK}  # one name in five may be chance
    assert read_samples(write_zip(tmp_path / "e.zip", few)).masks is None


def test_masks_of_one_object_in_white_are_two_classes(tmp_path: Path) -> None:
    drawn = np.zeros((3, 4), dtype=np.uint8)
    drawn[1, 1:3] = 255
    path = write_zip(tmp_path / "d.zip", {"images/a.png": IMAGE, "masks/a.png": png(drawn)})
    card = ModelCard.from_json(
        '{"modality": "image", "classes": ["ground", "car"], "loss": "pixel_cross_entropy"}', "t"
    )
    samples = card.fitted(read_samples(path))[0]
    assert samples.masks is not None
    assert samples.masks[0].tolist() == [[0] * 4, [0, 1, 1, 0], [0] * 4]
    assert samples.masks.stored(np.array([[1, 0]])).tolist() == [[255, 0]]
    assert samples.notes == ("The masks hold 0 and 255 alone, so 255 is read as the class 'car'.",)
    three = ModelCard("image", ("ground", "car", "sky"), loss={"name": "pixel_cross_entropy"})
    other = three.fitted(read_samples(path))[0]
    assert other.masks is not None
    assert other.masks[0][1].tolist() == [0, -1, -1, 0], "a border, where there are more classes"
    turned = {"images/a.png": IMAGE, "masks/a.png": png(drawn), "classes.json": b'["car", "ground"]'}
    again = card.fitted(read_samples(write_zip(tmp_path / "e.zip", turned)))[0]
    assert again.masks is not None
    assert again.masks[0][1].tolist() == [1, 0, 0, 1]
