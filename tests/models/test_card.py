"""The model card refuses class names that could lead out of a folder."""

from __future__ import annotations

import json

import pytest

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard


def card(*classes: str) -> str:
    return json.dumps({"modality": "image", "classes": classes})


@pytest.mark.parametrize(
    "name",
    ["../../x", "..", "a/../../b", "/etc/x", "\\\\host\\x", "..\\x", "C:/x", "c:\\x", "a\0b", "a\nb", "\ud800"],
)
def test_a_class_that_leads_out_of_a_folder_is_refused(name: str) -> None:
    with pytest.raises(OgaError, match=r"'classes' in the model card m\.json names .*, which cannot be a class"):
        ModelCard.from_json(card("cat", name), "m.json")


@pytest.mark.parametrize("name", ["a/b", "N/A", "tench, Tinca tinca", "A: good", "...", "été 🙂", "C++", "r/w"])
def test_ordinary_classes_are_not(name: str) -> None:
    assert ModelCard.from_json(card("cat", name), "m.json").classes == ("cat", name)


def test_a_class_that_is_named_twice_is_refused():
    with pytest.raises(OgaError, match="names a class twice"):
        ModelCard.from_json('{"modality": "image", "classes": ["cat", "dog", "cat"]}', "card.json")
    with pytest.raises(OgaError, match="names a class twice"):
        ModelCard.from_json('{"modality": "image", "classes": ["1", 1]}', "card.json")
