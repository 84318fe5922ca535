"""Decisions on masks, from the notebook to the files that are written back."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from export_runs import export_here
from mask_runs import PALETTE, make_run, members_of, packaged, png, trained, write_zip
from mask_sets import SIDE, shapes
from PIL import Image

from oga_core import open_run
from oga_core.errors import OgaError
from oga_core.evaluation.truth import evaluate
from oga_core.gradients.pixels.predicted_masks import PredictedMasks
from oga_core.previews.masks import LOSSES, masked_picture, masked_preview
from oga_core.previews.masks import PREDICTED as PREDICTED_LAYER
from oga_core.readers.masks.mask_data import decode_mask, encode_mask
from oga_core.runs.folder import RunFolder
from oga_core.samples import MODEL_MASK, REDO

DATA = shapes(1, 30)
VOID = np.s_[:2, :]  # rows of every mask in which no class is given


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("decided")
    for mask in DATA.given:
        mask[VOID] = 255
    table = "id,image,mask\n" + "".join(f"p{i},images/s{i:02}.png,masks/s{i:02}.png\n" for i in range(30))
    table += "again,images/s03.png,masks/s04.png\n"
    members = {**members_of(DATA), "metadata.csv": table.encode(), "readme.txt": b"shapes"}
    model = packaged(trained(shapes(1, 30), steps=40), folder / "m.pt2")
    run = make_run(folder, write_zip(folder / "shapes.zip", members), model, id_column="id", scores=("loss",))
    desk = open_run(run.path)
    desk.decide("p1", relabel=MODEL_MASK)
    desk.decide("p2", relabel=REDO, note="=the cross is cut off", reviewer="ada")
    desk.decide("p3", "remove")
    return run


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_the_fixed_data_have_the_models_masks_and_lack_what_was_removed(run: RunFolder, tmp_path: Path) -> None:
    before = members(run.path.parent / "shapes.zip")
    after = members(export_here(run, "fixed", tmp_path / "fixed"))
    assert before.keys() - after.keys() == {"masks/s03.png"}  # the image is of another row too
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    assert changed == {"masks/s01.png", "metadata.csv"}
    assert b"p3," not in after["metadata.csv"]
    assert b"again," in after["metadata.csv"]
    written = Image.open(io.BytesIO(after["masks/s01.png"]))
    assert written.mode == "P"
    assert written.getpalette() == PALETTE
    spans = np.load(run.arrays / "mask_spans.npy")
    expected = PredictedMasks(run.arrays).of(spans[1]).copy()
    expected[VOID] = 255
    assert (np.asarray(written) == expected).all()


def test_masks_to_draw_again_are_listed(run: RunFolder, tmp_path: Path) -> None:
    listed = members(export_here(run, "fixed", tmp_path / "fixed"))["masks_to_redo.csv"]
    assert list(csv.DictReader(io.StringIO(listed.decode()))) == [
        {"sample_id": "p2", "image": "images/s02.png", "mask": "masks/s02.png", "reviewer": "ada",
         "note": "=the cross is cut off"}
    ]  # fmt: skip
    safe = export_here(run, "fixed", tmp_path / "safe", spreadsheet_safe=True)
    assert (
        next(csv.DictReader(io.StringIO(members(safe)["masks_to_redo.csv"].decode())))["note"]
        == "'=the cross is cut off"
    )
    rows = export_here(run, "csv", tmp_path / "rows").read_text()
    assert f",{REDO}," in next(line for line in rows.splitlines() if "p2" in line.split(","))


def test_other_labels_and_formats_are_refused(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="Unknown new mask 'disc'"):
        open_run(run.path).decide("p1", relabel="disc")
    (tmp_path / "truth.csv").write_text("id,true_label\np1,disc\n")
    with pytest.raises(OgaError, match="masks, which no table of true labels can hold"):
        evaluate(run, tmp_path / "truth.csv")
    with pytest.raises(OgaError, match="Export fixed instead"):
        export_here(run, "huggingface", tmp_path / "hf")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_masks_are_written_as_they_were(kind: str) -> None:
    numbers = (np.arange(SIDE * SIDE) % 4).reshape(SIDE, SIDE).astype(np.uint16)
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, kind)
    again = encode_mask(3 - numbers, file.getvalue())
    assert Image.open(io.BytesIO(again)).format == kind
    assert (decode_mask(again) == 3 - numbers).all()


def test_masks_of_more_than_256_classes_keep_16_bits() -> None:
    numbers = np.full((3, 3), 700, dtype=np.uint16)
    assert (decode_mask(encode_mask(numbers, png(np.zeros((3, 3), dtype=np.uint8)))) == 700).all()


def test_previews_have_layers_and_a_legend(run: RunFolder) -> None:
    samples = run.samples
    shown = masked_preview(samples, 0, 160, run)
    assert [name for name, _ in shown.layers] == ["Mask", PREDICTED_LAYER, LOSSES]
    names = [name for name, _ in shown.legend]
    assert set(names) >= set(samples.label_text(0).split(" | "))
    colours = dict(shown.legend)
    assert colours["background"] == ""
    assert all(len(colours[name]) == 7 for name in names[1:])
    assert masked_picture(samples, 0, 160).image != shown.image
    bare = masked_preview(samples, 0, 160)
    assert [name for name, _ in bare.layers] == ["Mask"]
