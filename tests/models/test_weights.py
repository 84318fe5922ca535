"""Plain weights and the built-in architectures."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from oga_core.errors import OgaError
from oga_core.models import ModelCard, load_model
from oga_core.models import weights as weights_module
from oga_core.models.architectures import ARCHITECTURES, MLP, Linear, ResNet, ResNet18, SmallCNN, build

IMAGES = ModelCard("image", ("a", "b", "c"), {"image_size": [16, 16]})


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    rows, images = torch.randn(4, 5), torch.randn(4, 3, 16, 16)
    return {
        "linear": (Linear(5, 3), rows),
        "mlp": (MLP([5, 7, 6, 3]), rows),
        "small_cnn": (SmallCNN([4, 8], 3, 3), images),
        "resnet": (ResNet([4, 8, 8], 3, 3), images),
        "resnet18": (ResNet18(3, 3, stem=3), images),
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_give_the_network_back(name: str, suffix: str, tmp_path: Path) -> None:
    network, inputs = networks()[name]
    path = tmp_path / f"model{suffix}"
    if suffix == ".pt":
        torch.save(network.state_dict(), path)
    else:
        save_file(network.state_dict(), path)
    card = ModelCard("image", ("a", "b", "c"), {}, {"name": name})
    loaded = load_model(path, card)
    assert loaded.format == ("safetensors" if suffix == ".safetensors" else "state_dict")
    assert torch.equal(loaded.module(inputs), network.eval()(inputs))
    assert all(parameter.requires_grad for parameter in loaded.module.parameters())


@pytest.mark.parametrize("name", ["linear", "small_cnn", "resnet", "resnet18"])
def test_architecture_is_recognised_by_its_weights(name: str, tmp_path: Path) -> None:
    save_file(networks()[name][0].state_dict(), tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors", IMAGES)
    assert loaded.notes == (f"The weights fit the built-in architecture {name!r}.",)


def test_mlp_must_be_named_because_weights_do_not_tell_its_activation(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(OgaError, match="not of an architecture that OGA recognises"):
        load_model(tmp_path / "model.safetensors", IMAGES)
    card = ModelCard("tabular", ("a", "b", "c"), {}, {"name": "mlp", "activation": "tanh"})
    rows = torch.randn(4, 5)
    assert torch.equal(load_model(tmp_path / "model.safetensors", card).module(rows), network(rows))
    wrong = ModelCard("tabular", ("a", "b", "c"), {}, {"name": "mlp", "activation": "evil"})
    with pytest.raises(OgaError, match="Unknown activation"):
        load_model(tmp_path / "model.safetensors", wrong)


def test_torchvision_shape_of_resnet18() -> None:
    """Key names, shapes and count of torchvision's resnet18 with 1,000 classes."""
    state = ResNet18(3, 1000, stem=7).state_dict()
    assert sum(tensor.numel() for name, tensor in state.items() if "running" not in name and "num_b" not in name) == (
        11_689_512
    )
    assert {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.1.bias", "layer4.1.bn2.weight", "fc.bias"} <= (
        state.keys()
    )
    assert len(state) == 122


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("fc.bias"), "missing fc.bias"),
        (lambda state: state.update(extra=torch.ones(2)), "unexpected extra"),
        (lambda state: state.update({"fc.weight": torch.ones(3, 9)}), r"fc\.weight is \[3, 9\], not \[3, 8\]"),
        (lambda state: state.pop("body.0.0.weight"), r"there is no tensor 'body\.0\.0\.weight'"),
        (lambda state: state.update({"fc.weight": torch.tensor(1.0)}), "shapes are not those of this network"),
    ],
)
def test_weights_that_do_not_fit_are_named(change: Any, message: str, tmp_path: Path) -> None:
    state = networks()["resnet"][0].state_dict()
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    card = ModelCard("image", ("a", "b", "c"), {}, {"name": "resnet"})
    with pytest.raises(OgaError, match=message):
        load_model(tmp_path / "model.safetensors", card)


def test_unknown_architecture_lists_the_known(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2, 3)}, tmp_path / "model.safetensors")
    card = ModelCard("tabular", ("a", "b"), {}, {"name": "transformer9000"})
    with pytest.raises(OgaError, match=r"Unknown architecture in the model card: 'transformer9000'.*linear, mlp"):
        load_model(tmp_path / "model.safetensors", card)


def test_building_takes_no_memory() -> None:
    name, module = build({"weight": (10**7, 10**6), "bias": (10**7,)})
    assert name == "linear"
    assert module.weight.is_meta


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_checkpoints_are_unwrapped(wrapper: str, prefix: str, tmp_path: Path) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in Linear(5, 3).state_dict().items()}
    torch.save({wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "model.pt")
    loaded = load_model(tmp_path / "model.pt", IMAGES)
    assert torch.equal(loaded.module.weight, state[f"{prefix}weight"])


def test_half_precision_and_strided_views_become_float32(tmp_path: Path) -> None:
    torch.save({"weight": torch.randn(5, 3).half().T, "bias": torch.randn(6)[::2]}, tmp_path / "model.pt")
    loaded = load_model(tmp_path / "model.pt", IMAGES)
    assert loaded.module.weight.dtype == torch.float32
    assert loaded.module(torch.ones(2, 5)).shape == (2, 3)


def test_weights_survive_a_change_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(3, 5)}, path)
    loaded = load_model(path, IMAGES)
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(loaded.module.weight, torch.ones(3, 5))


def test_old_torch_is_not_trusted_with_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(Linear(5, 3).state_dict(), tmp_path / "model.pt")
    monkeypatch.setattr(weights_module.torch, "__version__", "2.9.1+cpu")
    with pytest.raises(OgaError, match=r"torch 2\.9\.1\+cpu cannot read model\.pt safely"):
        load_model(tmp_path / "model.pt", IMAGES)


@pytest.mark.parametrize(
    ("name", "entries", "kind"),
    [
        ("net.pt2", ["m/models/model.json", "m/archive_format"], "an exported program"),
        ("net.zip", ["m/weights.safetensors"], "a zip around a model"),
        ("net.zip", ["pictures/1.png"], "something else"),
        ("net.pt", ["m/data.pkl", "m/constants.pkl"], "a TorchScript archive"),
        ("net.pt", [], "a pickle"),
    ],
)
def test_a_checkpoint_of_another_kind_is_named(name: str, entries: list[str], kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.touch()
    if entries:
        with zipfile.ZipFile(path, "w") as archive:
            for entry in entries:
                archive.writestr(entry, "{}")
    with pytest.raises(OgaError, match=rf"{name} does not hold weights alone: it is {kind}\. A checkpoint must be"):
        weights_module.read_weights(path)


def test_a_lightning_checkpoint_gives_the_network_that_its_module_holds(tmp_path: Path) -> None:
    network = networks()["resnet"][0]
    below = {f"net.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"pytorch-lightning_version": "2.5", "epoch": 3, "state_dict": below}, tmp_path / "last.ckpt")
    loaded = load_model(tmp_path / "last.ckpt", IMAGES)
    inputs = networks()["resnet"][1]
    assert torch.equal(loaded.module(inputs), network.eval()(inputs))


@pytest.mark.parametrize(
    "content", [nn.Linear(2, 2), {"model": nn.Linear(2, 2), "epoch": 3}], ids=["whole", "in a dict"]
)
def test_a_pickled_network_is_told_how_to_be_packaged_before_a_card_is_asked_for(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "best.pt")
    with pytest.raises(OgaError, match=r"holds more than weights .*Linear.*package_model\("):
        load_model(tmp_path / "best.pt", None)
