"""Text and language models as `.pt2`: the tokenizer goes into the file, or lies beside it in one folder."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attack_files import build_quietly
from attacks_huggingface import save_tokenizer, tiny_bert, tiny_llama

from oga_core import package_model
from oga_core.errors import OgaError
from oga_core.models import load_model, model_format
from oga_core.models.loaded import LoadedModel
from oga_core.models.tokenizer import load_tokenizer, packed_tokenizer, tokenizer_entries
from oga_core.samples import SampleSet, Source
from oga_core.tasks import task_for

TEXTS = ["good film", "bad", "good good bad film unknown", "film bad good"]
CHATS = [{"messages": [{"role": "user", "content": "good"}, {"role": "assistant", "content": text}]} for text in TEXTS]
TEMPLATE = "{% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    """Torch and transformers warn about their own deprecations."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@pytest.fixture(scope="module", params=["text", "causal_lm"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder with a classifier, or with a language model and its chat template."""
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "text":
        return build_quietly(lambda: tiny_bert(root / "model"))
    build_quietly(lambda: tiny_llama(root / "model"))
    save_tokenizer(root / "model", eos_token="[UNK]", chat_template=TEMPLATE)
    return root / "model"


def packaged(folder: Path, path: Path, tokenizer: Any = None) -> Path:
    """Package the model of a Hugging Face folder, with the tokenizer given."""
    loaded = load_model(folder)
    tokens = torch.tensor([[2, 4, 3], [3, 4, 4]])
    example = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    card = loaded.card
    return package_model(
        loaded.module, example, path, classes=card.classes, modality=card.modality, tokenizer=tokenizer
    )


def losses(loaded: LoadedModel) -> torch.Tensor:
    """Return the losses of a few samples, from the texts on."""
    inputs: Any = TEXTS if loaded.card.modality == "text" else CHATS
    ids = np.array([str(i) for i in range(4)], dtype=object)
    samples = SampleSet(
        ids, inputs, np.array([0, 1, 0, 1]), ("x", "y", "z"), loaded.card.modality, [{}] * 4, np.arange(4),
        Source(Path("x"), "csv"), "f",
    )  # fmt: skip
    task = task_for(loaded.card, loaded.tokenizer)
    batch = task.batch(samples, np.arange(4))
    with torch.no_grad():
        return task.losses(task.outputs(loaded.module, batch), batch)


def test_a_packed_tokenizer_gives_the_losses_of_the_folder(folder: Path, tmp_path: Path) -> None:
    original = load_model(folder)
    path = packaged(folder, tmp_path / "model.pt2", original.tokenizer)
    shutil.move(path, tmp_path / "alone.pt2")
    loaded = load_model(tmp_path / "alone.pt2")
    assert loaded.card.input == original.card.input == {"max_length": 16}
    assert loaded.tokenizer.chat_template == original.tokenizer.chat_template
    torch.testing.assert_close(losses(loaded), losses(original), rtol=0, atol=1e-5)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_one_pt2_and_tokenizer_files(zipped: bool, folder: Path, tmp_path: Path) -> None:
    original = load_model(folder)
    upload = tmp_path / "upload"
    upload.mkdir()
    packaged(folder, upload / "net.pt2")
    with pytest.raises(OgaError, match=r"needs its tokenizer.*package_model\(…, tokenizer=tokenizer\)"):
        losses(load_model(upload / "net.pt2"))
    original.tokenizer.save_pretrained(upload)
    given = Path(shutil.make_archive(str(upload), "zip", tmp_path, "upload")) if zipped else upload
    assert model_format(given) == ("zip" if zipped else "pt2_folder")
    torch.testing.assert_close(losses(load_model(given)), losses(original), rtol=0, atol=1e-5)


def test_a_graph_of_one_length_gets_texts_padded_to_it(folder: Path, tmp_path: Path) -> None:
    """What torch.export writes unless it is told that the length is open too."""
    original = load_model(folder)
    upload, tokens = tmp_path / "upload", torch.tensor([[2, 4, 3, 4, 4, 4, 3, 2, 4, 3, 2, 4]] * 2)
    upload.mkdir()
    example = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    shapes = {name: {0: torch.export.Dim.DYNAMIC} for name in example}
    program = build_quietly(lambda: torch.export.export(original.module, (), example, dynamic_shapes=shapes))
    torch.export.save(program, upload / "net.pt2")
    (upload / "net.json").write_text(original.card.to_json())
    original.tokenizer.save_pretrained(upload)
    loaded = load_model(upload)
    assert loaded.card.input == {"max_length": 12, "fixed_length": True}
    torch.testing.assert_close(losses(loaded), losses(original), rtol=0, atol=1e-5)


def test_a_folder_of_two_models_is_refused(tmp_path: Path) -> None:
    for name in ("a.pt2", "b.pt2"):
        (tmp_path / name).touch()
    with pytest.raises(OgaError, match=r"holds 2 \.pt2 files \(a\.pt2, b\.pt2\)\. Leave one"):
        load_model(tmp_path)


def test_what_is_no_fast_tokenizer_is_refused(tmp_path: Path) -> None:
    class Slow:
        def save_pretrained(self, folder: str) -> None:
            Path(folder, "vocab.txt").write_text("good\nbad")

    with pytest.raises(OgaError, match=r"The Slow saves no tokenizer\.json"):
        tokenizer_entries(Slow())
    with pytest.raises(OgaError, match="must be a tokenizer of transformers, got str"):
        tokenizer_entries("bert-base")


def test_a_tokenizer_is_loaded_without_a_model_type(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_tokenizer(tmp_path)
    assert load_tokenizer(tmp_path)("good film")["input_ids"] == [2, 4]
    assert "model of type" not in "".join(capfd.readouterr())


def test_only_the_tokenizers_files_are_taken(folder: Path, tmp_path: Path) -> None:
    path = packaged(folder, tmp_path / "m.pt2", load_model(folder).tokenizer)
    with zipfile.ZipFile(path) as archive:
        extra = {name.split("/extra/")[1] for name in archive.namelist() if "/extra/" in name}
    assert extra - {"tokenizer/chat_template.jinja"} == {
        "oga.json",
        "gradients.json",
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
    }


def test_a_packed_tokenizer_that_names_code_runs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tokenizer(tmp_path, auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]}, trust_remote_code=True)
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.write(tmp_path / "evil.py", "m/extra/tokenizer/evil.py")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            archive.write(tmp_path / name, f"m/extra/tokenizer/{name}")
    assert packed_tokenizer(tmp_path / "m.pt2")("good film")["input_ids"] == [2, 4]
    assert not (tmp_path / "marker").exists()


def test_a_broken_packed_tokenizer_is_an_error_in_words(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.writestr("m/extra/tokenizer/tokenizer.json", '{"model": 3}')
    with pytest.raises(OgaError, match=r"The tokenizer in m\.pt2 cannot be loaded"):
        packed_tokenizer(tmp_path / "m.pt2")
