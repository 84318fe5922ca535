"""`oga score` from end to end on the shared photographs: a card against the CPU, and several cards against one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).resolve().parents[3]
PLACES = (ROOT / "shared" / "data", ROOT.parent / "shared" / "data")  # in the checkout, or beside it
SCORED = "oga"
"""The score whose average precision is compared."""


def photographs() -> Path:
    """The folder of the photographs. Raises `FileNotFoundError` where they are not on this machine."""
    places = [Path(os.environ["OGA_SHARED_DATA"])] if "OGA_SHARED_DATA" in os.environ else list(PLACES)
    for place in places:
        if (place / "cifar10n" / "images.zip").exists():
            return place / "cifar10n"
    raise FileNotFoundError(f"no cifar10n/images.zip in {' or '.join(map(str, places))}; set OGA_SHARED_DATA")


def end_to_end(folder: Path, small: bool) -> dict[str, Any]:
    """A run on a card, in the jail as anybody's, one on the CPU, and a plain loop over the same photographs."""
    n = 200 if small else None
    on_card = "cuda" if torch.cuda.is_available() else "cpu"
    runs = {
        device: scored(folder / device, device, n, "--scores", SCORED) for device in dict.fromkeys((on_card, "cpu"))
    }
    result: dict[str, Any] = {device: told(run) for device, run in runs.items()}
    loop = plain_loop_seconds(torch.device(on_card), n)
    result["plain loop with a DataLoader, seconds"] = round(loop, 2)
    result["gradients stage over the plain loop"] = round(result[on_card]["seconds"]["gradients"] / loop, 3)
    result["difference of average precision"] = round(
        result[on_card]["average precision"] - result["cpu"]["average precision"], 4
    )
    return result


def several_cards(folder: Path, small: bool) -> dict[str, Any]:
    """All cards against one: the same columns. On the CPU two workers stand for two cards."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cards == 1:
        return {"skipped": "this machine has one card"}
    n = 600 if small else None
    one = scored(folder / "one", "cuda:0" if cards else "cpu", n)
    flags = () if cards else ("--on", "local", "--workers", "2", "--shards", "2")
    all_ = scored(folder / "all", "cuda" if cards else "cpu", n, *flags)
    first, other = (pd.read_parquet(run / "scores.parquet") for run in (one, all_))
    columns = [name for name in first if name.startswith("score_")]
    apart = {name: float(np.nanmax(np.abs(first[name] - other[name]), initial=0.0)) for name in columns}
    ranks = [first[name].corr(other[name], method="spearman") for name in columns]
    return {
        "cards": cards or "two workers on the CPU",
        "one": told(one),
        "all": told(all_),
        "columns equal": sum(value == 0 for value in apart.values()),
        "columns": len(columns),
        "largest difference": max(apart.values()),
        "smallest rank correlation": round(float(np.nanmin(ranks)), 6),
    }


def scored(run: Path, device: str, n: int | None, *flags: str) -> Path:
    """Score the photographs by the command that anybody types."""
    data = photographs()
    command = [sys.executable, "-m", "oga_app.cli", "score", str(data / "images.zip"), "--device", device, "--map"]
    command += ["none", "--labels", str(data / "labels_worse.csv"), "--model", str(data / "model_worse.safetensors")]
    command += ["--run", str(run), *flags, *(("--max-samples", str(n)) if n else ())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(run.parent))
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout)[-400:])
    return run


def _environment(folder: Path) -> dict[str, str]:
    """Where the package is not installed, as on a bare machine, its names lead to the checkout."""
    if importlib.util.find_spec("oga_app"):
        return dict(os.environ)
    for name, source in (("oga_core", "oga_core"), ("oga_app", "app"), ("oga_sample_data", "sample_data")):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / source)
    return {**os.environ, "PYTHONPATH": str(folder)}


def told(run: Path) -> dict[str, Any]:
    """What a run says of itself, and its average precision by the true labels of what it scored."""
    info = json.loads((run / "run.json").read_text())
    table = pd.read_parquet(run / "scores.parquet")
    truth = pd.read_csv(photographs() / "truth.csv", dtype=str, index_col=0)["true_label"]
    wrong = table["given_label"].astype(str).to_numpy() != truth.loc[table["sample_id"]].to_numpy()
    seconds = {name: value for name, value in info["seconds"].items() if not isinstance(value, dict)}
    return {
        "device": info["device"],
        "seconds": seconds,
        "notes": info["notes"],
        "average precision": average_precision(wrong, table[f"score_{SCORED}"].to_numpy()),
    }


def average_precision(wrong: np.ndarray, scores: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wrong, scores))


class Photographs(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """The same photographs for a DataLoader, each decoded and normalised as the model card says."""

    def __init__(self, n: int | None):
        from zipfile import ZipFile

        self.path = photographs() / "images.zip"
        with ZipFile(self.path) as archive:
            self.names = [name for name in archive.namelist() if name.endswith((".jpg", ".jpeg", ".png"))][:n]
        self.archive: Any = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> torch.Tensor:
        from zipfile import ZipFile

        from PIL import Image

        self.archive = self.archive or ZipFile(self.path)  # one a worker
        with self.archive.open(self.names[row]) as file:
            pixels = np.asarray(Image.open(file).convert("RGB"), np.float32) / 255
        image = (pixels - (0.4914, 0.4822, 0.4465)) / (0.247, 0.2435, 0.2616)
        return torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1).copy())


def plain_loop_seconds(device: torch.device, n: int | None) -> float:
    """Seconds of one epoch of forward and backward passes with nothing kept; the model is built before."""
    from oga_core.models import load_model

    model = load_model(photographs() / "model_worse.safetensors").module.to(device).eval()
    workers = min(8, (os.cpu_count() or 1) - 1)
    loader = torch.utils.data.DataLoader(Photographs(n), batch_size=256, num_workers=workers, pin_memory=True)
    model(torch.zeros(1, 3, 32, 32, device=device)).sum().backward()  # what a card sets up once
    start = time.perf_counter()
    for images in _on(device, loader):
        loss = torch.nn.functional.cross_entropy(model(images), torch.zeros(len(images), dtype=torch.long).to(device))
        loss.backward()
        model.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _on(device: torch.device, loader: Any) -> Iterator[torch.Tensor]:
    for images in loader:
        yield images.to(device, non_blocking=True)
