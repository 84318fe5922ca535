"""Attacks in the formats of torch.save, joblib and TorchScript."""

from __future__ import annotations

import argparse
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import torch
from attack_files import BOMB, Payload, add_bomb, attack, rewrite, weights
from torch import nn


@attack("holds more than weights.*posix.system")
def torch_zip_pickle(folder: Path, marker: Path) -> Path:
    torch.save({**weights(), "extra": Payload(marker)}, folder / "model.pt")
    return folder / "model.pt"


@attack("is a pickle")
def torch_legacy_pickle(folder: Path, marker: Path) -> Path:
    torch.save({"extra": Payload(marker)}, folder / "model.pt", _use_new_zipfile_serialization=False)
    return folder / "model.pt"


@attack("is a pickle")
def torch_raw_pickle(folder: Path, marker: Path) -> Path:
    (folder / "model.pth").write_bytes(pickle.dumps(Payload(marker)))
    return folder / "model.pth"


@attack("is a tar archive")
def torch_tar(folder: Path, marker: Path) -> Path:
    with tarfile.open(folder / "model.pt", "w") as archive:
        content = pickle.dumps(Payload(marker))
        for name in ("pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return folder / "model.pt"


@attack("holds more than weights.*Linear")
def torch_full_module(folder: Path, marker: Path) -> Path:
    torch.save(nn.Linear(3, 2), folder / "model.pt")
    return folder / "model.pt"


@attack("holds more than weights.*argparse.Namespace")
def torch_namespace(folder: Path, marker: Path) -> Path:
    torch.save({"state_dict": weights(), "args": argparse.Namespace(lr=0.1)}, folder / "model.ckpt")
    return folder / "model.ckpt"


@attack("not a dense tensor|cannot be read")
def torch_sparse_out_of_bounds(folder: Path, marker: Path) -> Path:
    lying = torch.sparse_csr_tensor(
        torch.tensor([0, 10**6, 2 * 10**6]), torch.tensor([0, 1]), torch.ones(2), (2, 3), check_invariants=False
    )
    torch.save({"weight": lying, "bias": torch.zeros(2)}, folder / "model.pt")
    return folder / "model.pt"


@attack("not a dense tensor")
def torch_quantized(folder: Path, marker: Path) -> Path:
    quantized = torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8)
    torch.save({"weight": quantized, "bias": torch.zeros(2)}, folder / "model.pt")
    return folder / "model.pt"


@attack("unpack to")
def torch_deflate_bomb(folder: Path, marker: Path) -> Path:
    """One tensor of 2 GiB of zeros."""
    path, few, many = folder / "model.pt", 70_000, BOMB // 4
    torch.save({"weight": torch.zeros(few)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            if len(content) == 4 * few:
                add_bomb(archive, name)
            else:
                archive.writestr(name, content.replace(struct.pack("<i", few), struct.pack("<i", many)))
    return path


@attack("is compressed")
def torch_deflated(folder: Path, marker: Path) -> Path:
    torch.save(weights(), folder / "model.pt")
    return rewrite(folder / "model.pt", lambda name, content: content, zipfile.ZIP_DEFLATED)


@attack("cannot be read")
def torch_size_out_of_storage(folder: Path, marker: Path) -> Path:
    torch.save({"weight": torch.zeros(100)[:77]}, folder / "model.pt")
    return rewrite(folder / "model.pt", lambda name, content: content.replace(b"K\x4d", b"K\xff"))


@attack("larger than the file")
def torch_expanded(folder: Path, marker: Path) -> Path:
    torch.save({"weight": torch.zeros(1).expand(10**12), "bias": torch.zeros(2)}, folder / "model.pt")
    return folder / "model.pt"


@attack("holds no state dict")
def torch_without_tensors(folder: Path, marker: Path) -> Path:
    torch.save({"epoch": 3}, folder / "model.pt")
    return folder / "model.pt"


@attack("is a pickle")
def joblib_compressed(folder: Path, marker: Path) -> Path:
    (folder / "model.joblib").write_bytes(zlib.compress(pickle.dumps(Payload(marker))))
    return folder / "model.joblib"


class Written(nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file(self.path, shared=True, size=16)


class Saving(nn.Module):
    """Writes a file while torch.jit.load is still reading it."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        torch.save(torch.ones(2), self.path)


@attack("is a TorchScript archive")
def jit_saves_while_loading(folder: Path, marker: Path) -> Path:
    torch.jit.script(Saving(str(marker))).save(str(folder / "model.pt"))
    return folder / "model.pt"


@attack("is a TorchScript archive")
def jit_writes_file(folder: Path, marker: Path) -> Path:
    torch.jit.script(Written(str(marker))).save(str(folder / "model.pt"))
    return folder / "model.pt"


@attack("is a TorchScript archive")
def jit_renamed(folder: Path, marker: Path) -> Path:
    return jit_writes_file(folder, marker).rename(folder / "model.zip")
