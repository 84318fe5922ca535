"""What belongs to a model's folder, and what a file in it may lead to."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from oga_core.errors import OgaError
from oga_core.models.folders import files_of, find_base, is_model_file, read_json, weight_files


@pytest.mark.parametrize(
    ("name", "belongs"),
    [
        ("config.json", True),
        ("model/config.json", True),
        ("model/model-00001-of-00002.safetensors", True),
        ("a/model/config.json", False),
        ("a/b/model.safetensors", False),
        ("model/training_args.bin", False),
        ("model/modeling_evil.py", False),
        ("pytorch_model.bin", False),
    ],
)
def test_known_names_belong_to_a_model_at_most_one_folder_deep(name: str, belongs: bool) -> None:
    assert is_model_file(PurePosixPath(name)) == belongs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "The model folder has no config.json"),
        ("{", "config.json is not valid JSON"),
        ("[" * 100_000, "config.json is not valid JSON"),
        ("[1]", "config.json must be a JSON object"),
        (json.dumps({"a": "x" * 100}), "config.json is larger than 0 MB"),
    ],
)
def test_a_configuration_that_is_none_is_refused(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OgaError, match=message):
        read_json(path, limit=100 if content and "xxx" in content else 1 << 20)


def test_weights_are_one_file_or_the_shards_that_the_index_names(tmp_path: Path) -> None:
    shards = {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    for name in ("1.safetensors", "2.safetensors", "other.safetensors"):
        (tmp_path / name).touch()
    assert [path.name for path in weight_files(tmp_path)] == ["1.safetensors", "2.safetensors"]
    (tmp_path / "model.safetensors").touch()
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("../secret.safetensors", "which is outside the model's folder"),
        ("..\\secret.safetensors", "which is outside the model's folder"),
        ("weights.bin", "which is outside the model's folder"),
        ("gone.safetensors", "lacks the shard 'gone.safetensors'"),
    ],
)
def test_a_shard_elsewhere_or_nowhere_is_refused(shard: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(OgaError, match=message):
        weight_files(tmp_path)


def test_a_folder_without_weights_says_how_they_are_saved(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"has no model\.safetensors\. Save the model"):
        weight_files(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(OgaError, match="pickle"):
        weight_files(tmp_path)


def test_a_base_is_looked_for_inside_and_beside_and_nowhere_else(tmp_path: Path) -> None:
    adapter, elsewhere = tmp_path / "models" / "adapter", tmp_path / "elsewhere" / "llama"
    for folder in (adapter, elsewhere):
        folder.mkdir(parents=True)
    (elsewhere / "config.json").touch()
    named = {"base_model_name_or_path": str(elsewhere)}
    for settings in (named, {"base_model_name_or_path": "../elsewhere/llama"}, {"base_model_name_or_path": ".."}, {}):
        with pytest.raises(OgaError, match=r"base model of the adapter adapter .* is not there"):
            find_base(adapter, settings)
    for folder in (adapter.parent / "llama", adapter / "llama", adapter / "base"):
        folder.mkdir()
        (folder / "config.json").touch()
        assert find_base(adapter, named) == folder


def test_a_worker_may_open_a_model_its_card_and_its_base(tmp_path: Path) -> None:
    adapter, base = tmp_path / "adapter", tmp_path / "llama"
    for folder in (adapter, base):
        folder.mkdir()
    (base / "config.json").touch()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "llama"}))
    blob = tmp_path / "blob"
    blob.touch()
    (base / "model.safetensors").symlink_to(blob)
    (base / "notes.txt").symlink_to(adapter / "adapter_config.json")
    assert files_of(adapter) == [adapter, tmp_path / "adapter.json", base, tmp_path / "llama.json", blob.resolve()]
