"""What can be seen of a sample, and that nothing of a worker's word but text and pictures is believed."""

import io
import zipfile

import numpy as np
import pytest
from app_runs import image_run, table_run, text_run
from PIL import Image

from oga_core.previews.content import Preview
from oga_core.previews.drawing import as_fields, conversation, cut, preview
from oga_core.readers import read_samples
from oga_core.readers.image_data import decode_image, reduced_to


def test_previews_of_every_modality(tmp_path):
    image = preview(image_run(tmp_path).samples, 0, 160)
    assert image.image.startswith("data:image/png;base64,")
    assert image.pixelated
    text = preview(text_run(tmp_path).samples, 3, 160)
    assert text.text == "![x](http://evil.example/x.png) **bold** <script>alert(1)</script>"
    row = preview(table_run(tmp_path).samples, 1, 160)
    assert ("weight", "0.016666666666666666") in row.fields
    assert conversation({"prompt": "a", "completion": "b"}, None) == (("prompt", "a"), ("completion", "b"))
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    assert conversation(chat, chat) == (("user", "hi"),)
    assert as_fields({"a": "x" * 400})[0][1].endswith("…")
    assert cut("abc", 2) == "a…"


def test_a_chat_shows_calls_of_tools_and_joins_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]}
    content = {"prompt": [{"role": "user", "content": parts}], "completion": [call, {"role": "tool", "content": "2"}]}
    shown = (("user", "ab"), ("assistant", '{"name": "f", "arguments": {"x": 1}}'), ("tool", "2"))
    assert conversation({}, content) == shown


def test_a_preview_survives_the_way_to_the_dashboard():
    answers = {"pair": (("chosen", "g"),), "responses": (("/text", "h"),), "words": ("i", "jk")}
    whole = Preview(
        "data:image/png;base64,AA==", True, "a", "b", (("c", "d"),), (("user", "e"),), **answers, unreadable="f"
    )
    assert Preview.from_json(vars(whole)) == whole
    assert whole.size == len("data:image/png;base64,AA==") + len("abcdusere" + "choseng" + "/texth" + "ijk" + "f")


@pytest.mark.parametrize(
    "image", ["data:text/html;base64,AA==", "http://evil.example/a.png", 'data:image/png;base64,"x', 7]
)
def test_what_is_no_picture_is_not_shown(image):
    assert Preview.from_json({"image": image, "pixelated": "yes", "fields": [[1, 2]]}) == Preview(fields=(("1", "2"),))


KINDS = (("RGB", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("I;16", "PNG"), ("1", "TIFF"))


@pytest.mark.parametrize(("mode", "kind"), KINDS)
def test_a_large_image_is_decoded_no_finer_than_its_preview_needs(mode, kind):
    left = np.zeros((1200, 1600), dtype=np.uint8)
    left[:, :800] = 255
    image = Image.fromarray(left)
    image = Image.fromarray(left.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    content = io.BytesIO()
    image.save(content, kind)
    with reduced_to(160):
        small, _ = decode_image(content.getvalue())
    whole, _ = decode_image(content.getvalue())
    assert whole.size == (1600, 1200)
    assert small.mode == "RGB"
    assert 160 <= min(small.size) < 640
    assert abs(small.width * 3 - small.height * 4) < 8
    assert small.getpixel((2, 2)) == whole.getpixel((2, 2))
    assert small.getpixel((small.width - 3, 2)) == whole.getpixel((1597, 2))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_a_large_image_is_shown_upright(kind):
    from oga_core.readers import preview_image

    image = Image.new("RGB", (1600, 800), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    content = io.BytesIO()
    image.save(content, kind, exif=exif)
    with reduced_to(160):
        upright = preview_image(decode_image(content.getvalue())[0])
    assert upright.height == 2 * upright.width


def test_what_the_data_say_of_an_image_stands_beside_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for name in "ab":
            content = io.BytesIO()
            Image.new("RGB", (8, 8), "red").save(content, "PNG")
            archive.writestr(f"{name}.png", content.getvalue())
    labels = tmp_path / "labels.csv"
    labels.write_text("file_name,label,age,site\na.png,cat,41,north\nb.png,dog,7,south\n")
    shown = preview(read_samples(tmp_path / "images.zip", labels=labels), 1, 160)
    assert shown.fields == (("age", "7"), ("site", "south"))
    assert shown.image
    assert preview(image_run(tmp_path).samples, 0, 160).fields == ()
