"""What each of several files is for, by what they hold and by what the others are."""

import pytest

from oga_core.previews.roles import FileContent, roles_beside, roles_of


def table(name: str, *columns: str, n_bytes: int = 100) -> FileContent:
    roles = {"label": "label", "id": "id", "text": "text", "file": "image"}
    recognised = {role: name for name, role in roles.items() if name in columns}
    return FileContent(name, "table", columns=columns, recognised=recognised, n_bytes=n_bytes)


IMAGES = FileContent("photos.zip", "samples", n_bytes=1000)
LABELS = table("labels.csv", "file", "label")
FILMS = table("films.csv", "id", "text", "label", n_bytes=900)
MODEL = FileContent("net.pt2", "model")
CARD = FileContent("card.json", "card")
PAIRS = FileContent("pairs.jsonl", "table", are_pairs=True)
BASE = FileContent("base-model.zip", "model")
OUTPUTS = FileContent("outputs.npz", "outputs", n_bytes=10)


def weights(name: str) -> FileContent:
    return FileContent(name, "weights")


@pytest.mark.parametrize(
    ("files", "roles"),
    [
        ([], []),
        ([LABELS, MODEL, IMAGES, CARD], ["labels", "model", "data", "card"]),
        ([LABELS, MODEL], ["data", "model"]),
        ([FILMS, MODEL], ["data", "model"]),
        ([OUTPUTS], ["data"]),
        ([OUTPUTS, IMAGES], ["model", "data"]),
        ([OUTPUTS, IMAGES, MODEL], ["unused", "data", "model"]),
        ([table("t.csv", "id", "text", n_bytes=9), table("l.csv", "id", "label", n_bytes=99)], ["data", "labels"]),
        ([FileContent("x.npy", "arrays"), FileContent("y.npy", "labels")], ["data", "labels"]),
        ([FILMS, table("films_valid.csv", "id", "text", "label", n_bytes=9000)], ["data", "validation"]),
        ([table("validation.csv", "id", "text", "label")], ["data"]),
        ([MODEL, weights("epoch-2.safetensors"), weights("epoch-1.safetensors")], ["model", *["checkpoint"] * 2]),
        ([weights("epoch-10.pt"), weights("final.pt"), weights("epoch-9.pt")], ["checkpoint", "model", "checkpoint"]),
        ([weights("epoch-10.pt"), weights("epoch-9.pt")], ["model", "checkpoint"]),
        ([FileContent("odd.docx"), FILMS], ["unused", "data"]),
        ([PAIRS, BASE, MODEL], ["data", "reference", "model"]),
        ([PAIRS, BASE], ["data", "model"]),
    ],
)
def test_roles_follow_from_what_the_files_hold(files, roles):
    assert roles_of(files) == roles
    assert roles_of(files[::-1]) == roles[::-1]


def test_of_two_data_sets_the_larger_is_the_data_and_the_other_waits_for_a_word():
    small = table("other.csv", "id", "text", "label", n_bytes=10)
    assert roles_of([small, FILMS, MODEL]) == ["unused", "data", "model"]
    assert roles_of([small, FILMS, MODEL], {0: "validation"}) == ["validation", "data", "model"]
    assert roles_of([small, FILMS, MODEL], {0: "data"}) == ["data", "unused", "model"]


def test_two_models_and_two_cards():
    assert roles_of([MODEL, FileContent("b.pt2", "model"), CARD, CARD]) == ["model", "unused", "card", "unused"]
    assert roles_of([MODEL, weights("a.pt")], {1: "model"}) == ["unused", "model"]


def test_a_reference_is_for_pairs_alone_and_for_the_second_of_two_models():
    assert roles_of([FILMS, MODEL, BASE]) == ["data", "model", "unused"]
    assert roles_of([PAIRS, BASE, FileContent("sft.zip", "model")]) == ["data", "reference", "model"]
    assert roles_of([PAIRS, BASE], {0: "data", 1: "model"}) == ["data", "model"]
    assert roles_of([PAIRS, BASE, MODEL], {1: "model"}) == ["data", "model", "unused"]
    assert roles_of([PAIRS, BASE, MODEL], {2: "reference"}) == ["data", "model", "reference"]


def test_what_a_person_says_stays():
    choices = {0: "unused", 1: "labels"}
    assert roles_of([IMAGES, FILMS, LABELS], choices) == ["unused", "labels", "data"]


@pytest.mark.parametrize(
    ("files", "data", "roles"),
    [
        ([LABELS, MODEL], IMAGES, ["labels", "model"]),
        ([LABELS, IMAGES], IMAGES, ["labels", "data"]),
        ([FILMS], FILMS, ["data"]),
        ([table("l.csv", "id", "label")], FILMS, ["labels"]),
        ([IMAGES], IMAGES, ["data"]),
        ([MODEL], IMAGES, ["model"]),
        ([LABELS], None, ["data"]),
    ],
)
def test_a_table_of_labels_is_that_beside_the_data_of_an_earlier_run(files, data, roles):
    assert roles_beside(files, data) == roles


def test_what_a_person_said_holds_beside_the_data_of_an_earlier_run():
    assert roles_beside([LABELS], IMAGES, {0: "data"}) == ["data"]
