"""Decoding: what the model gets, what a person is told, and what a person is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reader_sets import encoded, picture, write_zip

from oga_core.readers import preview_image, read_samples, reading_notes
from oga_core.readers.image_data import FIRST_FRAME, ON_WHITE, SIXTEEN_BIT, decode_image
from oga_core.samples import UnreadableSample


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    image, notes = decode_image(encoded(picture(1), kind, **options))
    assert np.array_equal(np.asarray(image), np.asarray(picture(1)))
    assert notes == ()


@pytest.mark.parametrize(("mode", "kind"), [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("CMYK", "JPEG"), ("L", "JPEG")])
def test_other_modes_become_rgb(mode: str, kind: str) -> None:
    image, notes = decode_image(encoded(picture(1).convert(mode), kind))
    assert (image.mode, image.size, notes) == ("RGB", (8, 6), ())


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    values = np.array([[0, 257, 32_896, 65_535]], dtype=np.uint16)
    image, notes = decode_image(encoded(Image.fromarray(values)))
    assert np.asarray(image)[0, :, 0].tolist() == [0, 1, 128, 255]
    assert notes == (SIXTEEN_BIT,)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_shown_on_white(mode: str) -> None:
    layered = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    layered.putpixel((1, 0), (0, 0, 0, 0))
    data = encoded(layered, "GIF") if mode == "P" else encoded(layered.convert(mode))
    image, notes = decode_image(data)
    assert image.getpixel((1, 0)) == (255, 255, 255)
    assert notes == (ON_WHITE,)


def test_an_opaque_alpha_channel_is_no_news() -> None:
    image, notes = decode_image(encoded(picture(2).convert("RGBA")))
    assert np.array_equal(np.asarray(image), np.asarray(picture(2)))
    assert notes == ()


def test_the_first_of_several_frames_is_used() -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "green", "blue")]
    image, notes = decode_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert image.getpixel((0, 0)) == (255, 0, 0)
    assert FIRST_FRAME in notes


def test_orientation_is_for_people_and_not_for_the_model() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image, _ = decode_image(encoded(picture(0, (80, 40)), "JPEG", exif=exif))
    assert image.size == (80, 40)
    assert preview_image(image).size == (40, 80)
    grey, _ = decode_image(encoded(picture(0, (80, 40)).convert("L"), "JPEG", exif=exif))
    assert preview_image(grey).size == (40, 80)


def test_floating_point_pixels_are_refused() -> None:
    data = encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(UnreadableSample, match="floating-point pixels have no fixed range"):
        decode_image(data)


def test_a_run_is_told_once_what_decoding_changed(tmp_path: Path) -> None:
    clear = encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)))
    samples = read_samples(
        write_zip(tmp_path / "a.zip", {"a/0.png": clear, "b/1.png": clear, "b/2.png": encoded(picture(0))})
    )
    for _ in range(2):
        for i in range(3):
            samples.inputs[i]
    assert reading_notes(samples.take(np.array([0]))) == ("2 image(s) transparent: shown on white.",)
