"""Pictures on their way to the browser: exact where they are small, photographs as JPEG, none larger than asked."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from oga_core.previews.content import Preview
from oga_core.previews.drawing import conversation, picture


def opened(shown: Preview) -> Image.Image:
    assert shown.image
    return Image.open(io.BytesIO(base64.b64decode(shown.image.partition(",")[2])))


def test_a_small_picture_is_exact_and_shown_with_its_pixels() -> None:
    image = Image.effect_noise((64, 20), 80)
    shown = picture(image, 160)
    assert shown.image.startswith("data:image/png;base64,")
    assert shown.pixelated
    assert list(opened(shown).getdata()) == list(image.getdata())


def test_a_photograph_is_reduced_and_packed() -> None:
    shown = picture(Image.new("RGB", (65, 400), "red"), 200)
    assert shown.image.startswith("data:image/jpeg;base64,")
    assert not shown.pixelated
    assert opened(shown).size == (32, 200)


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "LA", "1"])
def test_every_mode_can_be_shown(mode: str) -> None:
    assert opened(picture(Image.new(mode, (80, 80)), 40)).size == (40, 40)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"instruction": "add", "input": "1 2", "output": "3"},
            (("instruction", "add"), ("input", "1 2"), ("output", "3")),
        ),
        ({"instruction": "add", "input": "", "output": "3"}, (("instruction", "add"), ("output", "3"))),
        ({"question": "why", "answer": "so"}, (("question", "why"), ("answer", "so"))),
        ({"text": "all"}, (("text", "all"),)),
    ],
)
def test_every_form_of_fine_tuning_row_reads_as_a_conversation(row: dict, expected: tuple) -> None:
    assert conversation(row, None) == expected


def test_a_conversation_reads_as_its_turns() -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    row = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}
    assert conversation(row, {"messages": turns}) == (("user", "hi"), ("assistant", "ho"))


def test_a_row_without_known_columns_shows_what_was_read() -> None:
    assert conversation({}, {"prompt": "a", "reply": "b" * 5000}) == (("prompt", "a"), ("reply", "b" * 3999 + "…"))
