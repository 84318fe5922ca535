"""Which file is which kind of model, which card wins, and what is refused with the lines that convert it."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import attack_set as attacks
import pytest
import torch
from attacks_huggingface import tiny_bert
from safetensors.torch import save_file
from torch import nn

from oga_core.errors import OgaError
from oga_core.models import ModelCard, files_of, load_model, load_weights, model_format
from oga_core.models.refusals import REFUSALS

SHARED = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CARD = ModelCard("tabular", ("a", "b"), {"features": ["x", "y", "z"]})
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared data at {SHARED}")


def linear_weights(path: Path) -> Path:
    save_file({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, path)
    return path


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"There is no model at .*nothing\.pt2"):
        load_model(tmp_path / "nothing.pt2")


def test_empty_folder_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"holds no config\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("model.h5", b"\x89HDF\r\n\x1a\n rest", "keras"),
        ("model.gguf", b"GGUF\x03\x00", "gguf"),
        ("model.onnx", b"\x08\x08\x12\x07pytorch", "onnx"),
        ("model.pkl", b"\x80\x04\x95", "pickle"),
        ("model.joblib", b"x\x9c rest", "pickle"),
        ("model.pt", b"", "pickle"),
        ("notes.txt", b"hello", "unknown"),
    ],
)
def test_refused_kinds_come_with_advice(name: str, content: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert model_format(path) == kind
    with pytest.raises(OgaError, match=r"model\.pt2|outputs\.npz|save_pretrained"):
        load_model(path)


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        (["m/data.pkl", "m/constants.pkl", "m/code/a.py"], "torchscript"),
        (["m/data.pkl", "m/data/0"], "state_dict"),
        (["m/.data/extern_modules", "m/model.pkl"], "package"),
        (["m/models/model.json", "m/archive_format"], "pt2"),
        (["serialized_exported_program.json", "version"], "pt2"),
        (["schema.json", "1.npy"], "skops"),
        (["config.json", "metadata.json", "model.weights.h5"], "keras"),
        (["x/config.json", "x/model.safetensors", "__MACOSX/x/._config.json"], "huggingface"),
        (["adapter_config.json", "base/config.json"], "peft"),
        (["logits.npy", "features.npy"], "npz"),
        (["a.txt"], "unknown"),
    ],
)
def test_zip_is_known_by_its_entries(entries: list[str], kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in entries:
            archive.writestr(name, "{}")
    assert model_format(path) == kind


def test_every_refusal_is_a_sentence_with_advice() -> None:
    for kind, text in REFUSALS.items():
        assert text[0].islower(), kind
        assert len(text) < 600, kind


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["config.json", "CONFIG.json"], "same name"),
        (["config.json", "../evil"], "outside the archive"),
        (["config.json", "/evil"], "outside the archive"),
        (["config.json", "a\\..\\evil"], "outside the archive"),
    ],
)
def test_odd_archives_are_refused(entries: list[str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in entries:
            archive.writestr(name, "{}")
    with pytest.raises(OgaError, match=message):
        load_model(path)


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(OgaError, match="is encrypted"):
        load_model(path)


def test_truncated_archive_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "model.pt")
    content = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(OgaError, match="not a readable zip"):
        load_model(tmp_path / "model.pt")


def test_the_persons_card_wins_over_the_one_beside_the_model(tmp_path: Path) -> None:
    path = linear_weights(tmp_path / "model.safetensors")
    beside = ModelCard("tabular", ("c", "d"), {"features": ["x", "y", "z"]})
    (tmp_path / "model.json").write_text(beside.to_json())
    assert load_model(path).card == beside
    assert load_model(path, CARD).card == CARD


def test_weights_without_card_ask_for_one(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"Write a model card model\.json beside it"):
        load_model(linear_weights(tmp_path / "model.safetensors"))


def test_card_keeps_its_architecture() -> None:
    card = ModelCard.from_json('{"modality": "tabular", "classes": ["a", "b"], "architecture": "linear"}', "card")
    assert card.architecture == {"name": "linear"}
    assert ModelCard.from_json(card.to_json(), "card") == card
    with pytest.raises(OgaError, match="'architecture' in the model card x must be an object"):
        ModelCard.from_json('{"modality": "tabular", "architecture": 3}', "x")


def test_checkpoint_replaces_weights(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    half = {"weight": torch.full((2, 3), 0.5).half(), "bias": torch.ones(2).half()}
    save_file(half, tmp_path / "epoch.safetensors")
    load_weights(module, tmp_path / "epoch.safetensors")
    assert module.weight.dtype == torch.float32
    assert module.weight.requires_grad
    assert torch.equal(module.weight, torch.full((2, 3), 0.5))


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2, 4), "bias": torch.ones(2)}, tmp_path / "epoch.safetensors")
    with pytest.raises(OgaError, match=r"epoch\.safetensors are of another network: weight"):
        load_weights(nn.Linear(3, 2), tmp_path / "epoch.safetensors")


def test_checkpoint_must_be_weights(tmp_path: Path) -> None:
    (tmp_path / "epoch.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(OgaError, match=r"it is a pickle\. A checkpoint must be \.safetensors or a \.pt state dict"):
        load_weights(nn.Linear(3, 2), tmp_path / "epoch.pkl")


def test_files_of_a_model(tmp_path: Path) -> None:
    assert files_of(tmp_path / "m.pt2") == [tmp_path / "m.pt2", tmp_path / "m.json"]
    adapter, base = tmp_path / "adapter", tmp_path / "base-7b"
    for folder in (adapter, base):
        folder.mkdir()
    (base / "config.json").write_text("{}")
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base-7b"}))
    assert base in files_of(adapter)
    assert files_of(base) == [base, base.with_suffix(".json")]


@needs_shared_data
def test_shared_weights_equal_the_shared_graph() -> None:
    """The same network as plain weights in our ResNet and as a torch.export graph."""
    plain = load_model(SHARED / "cifar10n" / "model_aggre.safetensors")
    graph = load_model(SHARED / "cifar10n" / "model_aggre.pt2")
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert plain.card == graph.card
    assert torch.equal(plain.module(images), graph.module(images))


@needs_shared_data
def test_shared_checkpoint_fits_the_shared_graph() -> None:
    graph = load_model(SHARED / "cifar10n" / "model_aggre.pt2").module
    plain = load_model(SHARED / "cifar10n" / "model_aggre.safetensors").module
    checkpoint = SHARED / "cifar10n" / "checkpoints_aggre" / "epoch_04.safetensors"
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = graph(images)
    for module in (graph, plain):
        load_weights(module, checkpoint)
    assert not torch.allclose(before, graph(images))
    assert torch.equal(plain(images), graph(images))


def test_one_zipped_model_file_is_taken_out(tmp_path: Path) -> None:
    weights = linear_weights(tmp_path / "model.safetensors")
    path = tmp_path / "upload.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(weights, "folder/model.safetensors")
        archive.writestr("folder/model.json", CARD.to_json())
    loaded = load_model(path)
    assert loaded.card == CARD
    assert loaded.module(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]


def test_zips_in_zips_are_refused(tmp_path: Path) -> None:
    linear_weights(tmp_path / "model.safetensors")
    for inner, outer in (("model.safetensors", "model.pt2"), ("model.pt2", "upload.zip")):
        with zipfile.ZipFile(tmp_path / outer, "w") as archive:
            archive.write(tmp_path / inner, inner)
    with pytest.raises(OgaError, match="not zipped again"):
        load_model(tmp_path / "upload.zip")


def test_zipped_folder_loads_like_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    attacks.build_quietly(lambda: tiny_bert(folder))
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"model/{file.name}")
        archive.writestr("model/evil.py", "raise SystemExit")
    loaded, zipped = load_model(folder), load_model(path)
    tokens = {"input_ids": torch.tensor([[2, 4], [3, 4]])}
    assert zipped.card == loaded.card
    assert torch.equal(zipped.module(**tokens).logits, loaded.module(**tokens).logits)
    assert zipped.tokenizer("good film")["input_ids"] == [2, 4]


def test_of_links_in_a_model_folder_only_those_of_a_model_are_followed(tmp_path: Path) -> None:
    model, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    model.mkdir()
    elsewhere.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "config.json", "notes.txt", "secrets.env"):
        (elsewhere / name).touch()
        (model / name).symlink_to(elsewhere / name)
    readable = {path for path in files_of(model) if path.parent == elsewhere}
    assert {path.name for path in readable} == {"model.safetensors", "tokenizer.json", "config.json"}
    assert elsewhere not in files_of(model)
