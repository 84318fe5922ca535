"""Every attack on the model loaders: no payload runs, the error can be read, and this process lives on."""

from __future__ import annotations

import pickle
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import attack_set as attacks
import pytest
import torch

from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.worker import supervisor as worker
from oga_core.worker.limits import Cancelled
from oga_core.worker.supervisor import run_job

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, Path]]:
    """The file or folder of every attack, and what it would leave."""
    root = tmp_path_factory.mktemp("attacks")
    markers = {name: root / f"{name}.marker" for name in attacks.ATTACKS}
    return {name: attacks.build(name, root / name, marker) for name, marker in markers.items()}, markers


@pytest.fixture(scope="module")
def opened(built: tuple[dict[str, Path], dict[str, Path]]) -> Any:
    """Outcome and marker of every attack, all opened by one worker with TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD set."""
    paths, markers = built
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(worker.JOBS, "attacks", "attack_job:load_all")
        patch.syspath_prepend(str(HERE))
        outcomes = run_job(
            "attacks",
            {"paths": {name: str(path) for name, path in paths.items()}},
            jail=False,
            seconds=300,
            memory_gb=6,
        )
    return outcomes, markers


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_attack_is_refused_in_words(name: str, opened: Any) -> None:
    outcomes, markers = opened
    outcome, refused = outcomes[name], attacks.ATTACKS[name].refused
    assert not markers[name].exists(), "the payload ran"
    assert outcome["error"] == ("OgaError" if refused else None), outcome["message"]
    if refused:
        assert re.search(refused, outcome["message"]), outcome["message"]
        assert "Traceback" not in outcome["message"]
        assert len(outcome["message"]) < 1500
    assert outcome["seconds"] < 20
    assert outcome["rss_mb"] < 1500


@pytest.mark.parametrize("name", ["torch_deflate_bomb", "hf_zip_bomb"])
def test_bombs_are_refused_by_their_directory_alone(name: str, built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = built[0][name]
    assert path.stat().st_size < 16 << 20

    def opened(*arguments: Any, **options: Any) -> None:
        pytest.fail("an entry is being unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", opened)
    monkeypatch.setattr(torch, "load", opened)
    with pytest.raises(OgaError, match=attacks.ATTACKS[name].refused):
        load_model(path)


def test_bombs_are_valid_and_larger_than_the_cap(built: Any) -> None:
    with zipfile.ZipFile(built[0]["hf_zip_bomb"]) as archive, archive.open("model.safetensors") as stream:
        assert archive.getinfo("model.safetensors").file_size > 1500 << 20
        assert not any(stream.read(32 << 20)), "more than one piece inflates"


def test_no_torch_environment_variable_reaches_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in worker._environment("/scratch")


def test_the_payloads_are_live(tmp_path: Path) -> None:
    """What the loaders refuse would have run in the loaders that they avoid."""
    marker = tmp_path / "marker"
    path = attacks.build("torch_zip_pickle", tmp_path / "zip", marker)
    torch.load(path, weights_only=False)  # noqa: TID251
    assert marker.exists()
    marker.unlink()
    path = attacks.build("torch_raw_pickle", tmp_path / "raw", marker)
    pickle.loads(path.read_bytes())  # noqa: S301
    assert marker.exists()
    marker.unlink()
    path = attacks.build("jit_saves_while_loading", tmp_path / "jit", marker)
    torch.jit.load(path)  # noqa: TID251
    assert marker.exists()


def test_endless_chat_template_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = attacks.build("hf_chat_template_loop", tmp_path / "model", tmp_path / "marker")
    monkeypatch.setitem(worker.JOBS, "template", "attack_job:apply_chat_template")
    monkeypatch.syspath_prepend(str(HERE))
    reached: list[float] = []

    def report(message: dict[str, Any]) -> None:
        if message["stage"] == "reading conversations":
            reached.append(time.monotonic())

    with pytest.raises(Cancelled):
        run_job(
            "template",
            {"path": str(path)},
            readable=[path, HERE],
            progress=report,
            cancelled=lambda: bool(reached) and time.monotonic() - reached[0] > 0.5,
        )
