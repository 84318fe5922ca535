"""What a file is, told by its content; wrong files get a sentence, and nothing of any file is run."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression

import oga_sample_data
from oga_core.previews import recognition
from oga_core.previews.reader import content_of

SAMPLES = Path(oga_sample_data.__path__[0])
CARD = {"modality": "image", "classes": ["cat", "dog"], "input": {"image_size": [8, 8], "channels": 3}}


def content(path: Path) -> recognition.FileContent:
    return recognition.FileContent.from_json(recognition.run({"path": str(path)}, lambda message: None))


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def written(tmp_path):
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_a_zip_of_images(tmp_path):
    members = {"cat/a.png": image(), "dog/b.PNG": image(), "__MACOSX/cat/._a.png": b"", "readme.txt": b"words"}
    file = content(zipped(tmp_path / "photos.zip", members))
    assert (file.kind, file.about, file.columns) == ("samples", "2 images", ())
    table = b"file_name,breed\na.png,x\nb.png,y\n"
    file = content(zipped(tmp_path / "listed.zip", {"a.png": image(), "b.png": image(), "metadata.csv": table}))
    assert (file.about, file.columns) == ("2 images, with metadata.csv", ("file_name", "breed"))


def test_tables(written):
    file = content(written("labels.csv", "file,label\na.png,cat\n"))
    assert (file.kind, file.about) == ("table", "table: file, label")
    assert file.recognised == {"image": "file", "label": "label"}
    assert file.is_bare
    assert not content(written("films.csv", "id,text,label\n1,good,a\n")).is_bare
    file = content(written("chats.jsonl", json.dumps({"messages": [{"role": "user", "content": "hi"}]}) + "\n"))
    assert (file.kind, file.is_language) == ("table", True)
    assert "rows for a language model" in file.about
    pairs = content(written("pairs.jsonl", json.dumps({"chosen": "a", "rejected": "b"}) + "\n"))
    assert (pairs.are_pairs, pairs.about) == (True, "preference pairs: chosen, rejected")
    assert not file.are_pairs
    assert content(written("rows.json", '[{"text": "a", "label": "x"}]')).columns == ("text", "label")
    # Its ninth byte is a bracket, as that of a safetensors file is.
    assert content(written("nested.jsonl", '{"data":{"a": 1}}\n')).kind == "table"


def test_arrays_and_outputs(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 3), dtype=np.uint8))
    np.save(tmp_path / "y.npy", np.zeros(4, dtype=np.int64))
    np.savez(tmp_path / "set.npz", images=np.zeros((4, 8, 8)), labels=np.zeros(4))
    np.savez(tmp_path / "outputs.npz", features=np.zeros((4, 2)), logits=np.zeros((4, 3)), labels=np.zeros(4))
    pd.DataFrame({"text": ["a"], "label": ["x"]}).to_parquet(tmp_path / "rows.parquet")
    kinds = {path.name: content(path).kind for path in tmp_path.iterdir()}
    assert kinds == {
        "x.npy": "arrays",
        "y.npy": "labels",
        "set.npz": "arrays",
        "outputs.npz": "outputs",
        "rows.parquet": "table",
    }


def test_models_and_the_card_inside_them(tmp_path):
    file = content(SAMPLES / "digits.pt2")
    assert (file.kind, file.about) == ("model", "packaged model: image, 10 classes")
    assert json.loads(file.card or "")["classes"][:2] == ["zero", "one"]
    (tmp_path / "renamed.bin").write_bytes((SAMPLES / "digits.pt2").read_bytes())
    assert content(tmp_path / "renamed.bin").card == file.card
    fitted = LogisticRegression().fit(pd.DataFrame({"age": [1.0, 2.0, 3.0]}), ["no", "yes", "yes"])
    skops.io.dump(fitted, tmp_path / "model.skops")
    file = content(tmp_path / "model.skops")
    assert json.loads(file.card or "")["classes"] == ["no", "yes"]
    assert file.about == "scikit-learn model: tabular, 2 classes"


def test_a_folder_of_transformers_and_a_zip_of_it_name_their_classes(tmp_path):
    members = {f"messages/{path.name}": path.read_bytes() for path in (SAMPLES / "messages").iterdir()}
    for path in (SAMPLES / "messages", zipped(tmp_path / "model.zip", members)):
        file = content(path)
        assert (file.kind, file.about) == ("model", "Hugging Face model: text, 4 classes")
        assert json.loads(file.card or "")["classes"] == ["billing", "delivery", "returns", "technical"]


def test_weights_need_a_card(tmp_path):
    save_file({"weight": torch.zeros(2, 2)}, tmp_path / "net.safetensors")
    torch.save({"weight": torch.zeros(2, 2)}, tmp_path / "net.pt")
    for name in ("net.safetensors", "net.pt"):
        file = content(tmp_path / name)
        assert (file.kind, file.needs_card, file.card, file.problem) == ("weights", True, None, "")
    (tmp_path / "net.json").write_text(json.dumps(CARD))
    assert not content(tmp_path / "net.safetensors").needs_card


def test_a_card(written):
    file = content(written("anything.json", json.dumps(CARD)))
    assert (file.kind, file.about) == ("card", "model card: image, 2 classes")
    assert json.loads(file.card or "")["classes"] == ["cat", "dog"]


class _Payload:
    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('ran').touch()",)


def test_wrong_files_get_a_sentence_and_nothing_of_them_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {
        "model.pkl": (pickle.dumps(_Payload()), "is a pickle"),
        "model.pt2": (pickle.dumps(_Payload()), "is a pickle"),
        "photo.jpg": (b"\xff\xd8\xff\xe0", "is a single image. Zip the folder"),
        "book.xlsx": (b"PK\x03\x04", "zip"),
        "notes.docx": (b"words", "neither data nor a model"),
        "empty.csv": (b"", "is empty"),
        "config.json": (b'{"model_type": "bert"}', "is one file of a model folder. Zip the folder"),
        "one.json": (b'{"a": 1}', "is one JSON object"),
        "bad_card.json": (b'{"modality": "smell", "classes": []}', "Unknown modality"),
        "net.gguf": (b"GGUF1234", "quantised weights have no gradients"),
    }
    for name, (data, words) in files.items():
        (tmp_path / name).write_bytes(data)
        file = content(tmp_path / name)
        assert words in file.problem, name
        assert file.kind == "unknown"
    assert not (tmp_path / "ran").exists()


def test_a_damaged_model_is_still_taken_for_the_model(tmp_path):
    whole = (SAMPLES / "digits.pt2").read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(tmp_path / "model.pt2", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"{" if name.endswith("oga.json") else old.read(name))
    file = content(tmp_path / "model.pt2")
    assert (file.kind, file.card) == ("model", None)
    assert "not valid JSON" in file.problem


def test_a_file_is_recognised_in_the_worker():
    file = content_of(SAMPLES / "digits.pt2")
    assert (file.kind, file.n_bytes) == ("model", (SAMPLES / "digits.pt2").stat().st_size)
