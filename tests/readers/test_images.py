"""Images in folders and archives: class folders, splits, tables of labels."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from reader_sets import encoded, picture, write_folder, write_tar, write_zip

from oga_core.errors import OgaError
from oga_core.readers import read_samples

PNG = encoded(picture(0))
SHARED = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here (set OGA_SHARED_DATA)")


@pytest.mark.parametrize("prefix", ["", "root/", "train/", "root/train/", "root/Training/"])
def test_the_class_is_the_folder_below_root_and_split(tmp_path: Path, prefix: str) -> None:
    samples = read_samples(write_zip(tmp_path / "a.zip", {f"{prefix}cat/0.png": PNG, f"{prefix}dog/deep/1.png": PNG}))
    assert samples.class_names == ("cat", "dog")
    assert samples.ids.tolist() == [f"{prefix}cat/0.png", f"{prefix}dog/deep/1.png"]


def test_other_splits_are_left_out_and_named(tmp_path: Path) -> None:
    members = {"train/cat/0.png": PNG, "train/dog/1.png": PNG, "test/cat/2.png": PNG, "val/cat/3.png": PNG}
    samples = read_samples(write_folder(tmp_path / "set", dict(members)))
    assert len(samples) == 2
    assert "Read from 'train'; left out: 'test', 'val'." in samples.notes


def test_splits_without_train_need_a_choice(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"val/cat/0.png": PNG, "test/cat/1.png": PNG})
    with pytest.raises(OgaError, match=r"has the parts 'test', 'val' but no 'train'\. Give the folder of one part"):
        read_samples(path)


def test_a_class_named_train_is_a_class(tmp_path: Path) -> None:
    assert read_samples(write_zip(tmp_path / "a.zip", {"train/0.png": PNG, "bus/1.png": PNG})).class_names == (
        "bus",
        "train",
    )


def test_class_folders_stay_what_they_are_with_a_text_beside_one_image(tmp_path: Path) -> None:
    members = {"cat/0.png": PNG, "cat/0.txt": "a note", "dog/1.png": PNG, "dog/2.png": PNG}
    samples = read_samples(write_tar(tmp_path / "a.tar", dict(members)))
    assert samples.source.format != "webdataset"
    assert samples.class_names == ("cat", "dog")
    members |= {"dog/1.txt": "dog", "dog/2.txt": "dog"}
    assert read_samples(write_tar(tmp_path / "b.tar", dict(members))).source.format == "webdataset"


def test_files_that_are_no_images_are_counted(tmp_path: Path) -> None:
    samples = read_samples(write_zip(tmp_path / "a.zip", {"cat/0.png": PNG, "dog/1.png": PNG, "README.md": "x"}))
    assert "1 file(s) are not images and were left out: 'README.md'." in samples.notes


def test_a_table_may_name_images_by_their_last_part_or_stem(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"data/images/a.png": PNG, "data/images/b.png": PNG, "data/images/c.png": PNG})
    labels = tmp_path / "labels.csv"
    labels.write_text("image,class\na.png,x\n./data/images/b.png,y\n")
    samples = read_samples(path, labels=labels)
    assert samples.ids.tolist() == ["a.png", "./data/images/b.png"]
    assert samples.inputs[1].size == (8, 6)
    assert "1 image(s) have no row in labels.csv and were left out: 'data/images/c.png'." in samples.notes
    labels.write_text("id,class\na,x\nb,y\n")
    assert read_samples(path, labels=labels).inputs[0].size == (8, 6)


def test_an_image_that_is_missing_is_a_problem_of_its_row(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(40)]
    path = write_tar(tmp_path / "a.tar", {f"x/{name}": PNG for name in names[:-1]})
    labels = tmp_path / "labels.tsv"
    labels.write_text("file_name\tlabel\n" + "".join(f"{name}\ta\n" for name in names))
    samples = read_samples(path, labels=labels)
    assert len(samples) == 39
    assert [(problem.sample_id, problem.row, problem.reason) for problem in samples.problems] == [
        ("39.png", 39, "a.tar has no image '39.png'")
    ]


def test_ids_of_images_can_be_a_column(tmp_path: Path) -> None:
    table = "uid,file_name,label\nu1,0.png,a\nu2,1.png,b\n"
    path = write_folder(tmp_path / "set", {"0.png": PNG, "1.png": PNG, "metadata.csv": table})
    assert read_samples(path).ids.tolist() == ["0.png", "1.png"]
    assert read_samples(path, id_column="uid").ids.tolist() == ["u1", "u2"]


def test_metadata_without_labels_leaves_the_class_folders(tmp_path: Path) -> None:
    table = "file_name,width\ncat/0.png,8\n"
    path = write_folder(tmp_path / "set", {"cat/0.png": PNG, "dog/1.png": PNG, "metadata.csv": table})
    assert read_samples(path).class_names == ("cat", "dog")


def test_a_link_inside_a_folder_is_followed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", {"cat/0.png": PNG, "dog/1.png": PNG})
    (folder / "dog" / "2.png").symlink_to(folder / "cat" / "0.png")
    assert len(read_samples(folder)) == 3


def test_a_changed_folder_has_another_fingerprint(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", {"cat/0.png": PNG, "dog/1.png": PNG})
    before = read_samples(folder).fingerprint
    (folder / "cat" / "0.png").write_bytes(encoded(picture(9)))
    assert read_samples(folder).fingerprint != before


def test_a_readme_in_a_tar_does_not_make_it_a_webdataset(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"cat/0.png": PNG, "dog/1.png": PNG, "README.txt": "x"})
    assert read_samples(path).source.format == "image_folder"


@needs_shared_data
def test_the_shared_photographs_are_read_lazily_and_no_slower_than_a_plain_loop(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prints the ratio to a loop of zipfile and Pillow; asserts only that opening decodes nothing."""
    path, labels = SHARED / "cifar10n" / "images.zip", SHARED / "cifar10n" / "labels_aggre.csv"
    start = time.process_time()
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda *args, **kwargs: pytest.fail("an image was opened before it was asked for"))
        samples = read_samples(path, labels=labels)
    opened = time.process_time() - start
    for i in range(3_000):
        samples.inputs[i]
    ours = time.process_time() - start
    start = time.process_time()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist()[:3_000]:
            with archive.open(name) as member:
                Image.open(member).convert("RGB")
    plain = time.process_time() - start
    with capsys.disabled():
        print(
            f"\n12,000 photographs: opened in {opened:.2f} s, the first 3,000 decoded {ours / plain:.2f} × a plain loop"
        )
    assert len(samples) == 12_000


@needs_shared_data
def test_the_shared_sentences_are_read() -> None:
    samples = read_samples(SHARED / "sst2" / "train_flip20.csv")
    assert len(samples) == 6_920
    assert (samples.class_names, samples.ids[0]) == (("negative", "positive"), "sst2-00000")
    assert samples.inputs[1].startswith("apparently reassembled")


def test_the_icon_that_macos_adds_to_a_folder_is_left_out(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {
        "cat/0.png": encoded(picture(0)),
        "dog/1.png": encoded(picture(1)),
        "cat/Icon\r": "",
    }
    assert read_samples(write_zip(tmp_path / "a.zip", members)).ids.tolist() == ["cat/0.png", "dog/1.png"]
