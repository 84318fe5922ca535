"""`package_model`: any module in one call, read back with the same outputs, nothing of the user's inside."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor, nn

import oga_core
from oga_core.errors import OgaError
from oga_core.models import load_model
from oga_core.models.pt2.reader import read_pt2

CLASSES = ["a", "b", "c"]


class Net(nn.Module):
    """Linear layers around a function that a test chooses."""

    def __init__(self, middle: Callable[[Tensor], Any] = torch.relu) -> None:
        super().__init__()
        self.body, self.drop, self.head = nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 3)
        self.middle = middle

    def forward(self, x: Tensor) -> Any:
        return self.head(self.drop(self.middle(self.body(x.flatten(1)))))


def everything_in(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) + name.encode() for name in archive.namelist())


def test_image_model_with_its_card(tmp_path: Path) -> None:
    model = zoo.build("small_cnn").train()
    model.features[1].eval()
    example = torch.randn(1, 3, 16, 16)
    prepared = {"mean": np.array([0.5, 0.5, 0.25]), "std": (1, 1, 1)}
    path = oga_core.package_model(model, example, tmp_path / "net.pt2", classes=list("vwxyz"), input=prepared)
    loaded = load_model(path)
    assert loaded.card.classes == tuple("vwxyz")
    expected = {"image_size": [16, 16], "channels": 3, "mean": [0.5, 0.5, 0.25], "std": [1, 1, 1]}
    assert loaded.card.input == expected
    assert model.training
    assert not model.features[1].training, "each module gets its own mode back"
    x = torch.randn(5, 3, 16, 16)
    assert torch.equal(loaded.module(x), model.eval()(x))
    assert [file.name for file in tmp_path.iterdir()] == ["net.pt2"]


@pytest.mark.parametrize(
    ("name", "modality", "classes"), [("bert_sdpa", "text", CLASSES), ("llama_sdpa", "causal_lm", [])]
)
def test_text_models_take_any_length(name: str, modality: Any, classes: list[str], tmp_path: Path) -> None:
    model, example = zoo.build(name), zoo.ZOO[name].inputs(1, 8)
    example["labels"] = torch.zeros(1, dtype=torch.long)
    path = oga_core.package_model(model, example, tmp_path / "m.pt2", classes=classes, modality=modality)
    module, card = read_pt2(path)
    assert card is not None
    assert card.modality == modality
    assert module.input_names == ("input_ids", "attention_mask")
    inputs = zoo.ZOO[name].inputs(3, 11)
    assert torch.equal(module(**inputs), zoo.logits_of(model(**inputs)))


def test_the_cache_of_a_language_model_is_left_out(tmp_path: Path) -> None:
    model, example = zoo.build("llama_eager"), zoo.ZOO["llama_eager"].inputs(2, 6)
    expected = zoo.logits_of(model(**example))
    model.config.use_cache = True
    path = oga_core.package_model(model, example, tmp_path / "m.pt2", classes=[], modality="causal_lm")
    assert torch.equal(read_pt2(path)[0](example), expected)
    assert model.config.use_cache


def test_nothing_of_the_user_is_stored(tmp_path: Path) -> None:
    model, example, state = Net(), torch.full((3, 4), 1234.5), torch.get_rng_state()
    path = oga_core.package_model(model, example, tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    content = everything_in(path)
    assert torch.equal(torch.get_rng_state(), state), "the user's random numbers go on as before"
    assert example.numpy().tobytes()[:16] not in content
    assert str(Path(__file__).parent).encode() not in content, "a stack trace holds the path of the user's code"
    assert str(tmp_path).encode() not in content


def test_dict_that_the_model_takes_as_one_argument(tmp_path: Path) -> None:
    class Model(Net):
        def forward(self, batch: dict[str, Tensor]) -> Any:
            return {"logits": super().forward(batch["x"]) + batch["y"]}

    model, example = Model().eval(), {"x": torch.randn(3, 4), "y": torch.randn(3, 3)}
    module, _ = read_pt2(
        oga_core.package_model(model, example, tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    )
    assert torch.equal(module(example), model(example)["logits"])


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, torch.compile, lambda m: m.half(), lambda m: m.to(memory_format=torch.channels_last)]
)
def test_wrapped_and_converted_models(wrap: Callable[[nn.Module], nn.Module], tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.randn(2, 1, 4, 4)
    wrapped = wrap(model)
    example = x.to(next(wrapped.parameters()).dtype)
    module, _ = read_pt2(oga_core.package_model(wrapped, example, tmp_path / "m.pt2", classes=CLASSES))
    assert [n for n, _ in module.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    torch.testing.assert_close(module(x), model.float()(x), rtol=1e-3, atol=1e-3)


def test_encoder_layers_are_packaged_with_gradients(tmp_path: Path) -> None:
    """Their fused path in eval mode has none."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Flatten(), nn.Linear(32, 3))
    example = torch.randn(2, 4, 8)
    with torch.no_grad():
        path = oga_core.package_model(model, example, tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    module, _ = read_pt2(path)
    module(example).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert torch.backends.mha.get_fastpath_enabled()


class Masked(nn.Module):
    """A transformer of torch under a mask that it makes itself, which torch compares with the causal one."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Transformer(4, 2, 1, 1, 8, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (3, 4))
        mask = nn.Transformer.generate_square_subsequent_mask(3)
        return self.head(self.body(x, x, src_mask=mask, tgt_mask=mask).mean(1))


def test_a_transformer_with_masks_is_packaged(tmp_path: Path) -> None:
    model, example = Masked().eval(), torch.randn(3, 12)
    path = oga_core.package_model(model, example, tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    torch.testing.assert_close(read_pt2(path)[0](example), model(example), rtol=1e-4, atol=1e-5)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(20, 4), nn.LSTM(4, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(input_ids))[0][:, -1])


def test_a_recurrent_model_is_packaged_for_one_length(tmp_path: Path) -> None:
    model, example = Recurrent().eval(), {"input_ids": torch.randint(0, 20, (2, 5))}
    with pytest.warns(UserWarning, match="exactly 5 tokens"):
        path = oga_core.package_model(model, example, tmp_path / "m.pt2", classes=CLASSES, modality="text")
    module, _ = read_pt2(path)
    assert module.input_shapes == {"input_ids": (None, 5)}
    assert torch.equal(module(example), model(**example))


class Codes(nn.Module):
    """Category codes into an embedding: integers that are not tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(12, 4), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x.long()).flatten(1))


def test_integer_columns_keep_their_number(tmp_path: Path) -> None:
    model, example = Codes().eval(), torch.randint(0, 12, (4, 4))
    path = oga_core.package_model(model, example, tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    module = load_model(path).module
    assert module.input_shapes == {"x": (None, 4)}
    assert torch.equal(module(example.float()), model(example)), "a table's numbers are floating-point"


def decided(x: Tensor) -> Tensor:
    return x * 2 if x.sum() > 0 else x


def counted(x: Tensor) -> Tensor:
    return torch.stack([row * 2 for row in x])


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (decided, "decides in Python by the values of a tensor"),
        (counted, "works for one batch size only"),
        (lambda x: x.reshape(4, 4), "runs on a batch of 4 but not on 2"),
        (lambda x: x.repeat(2, 1), "gives 8 rows of logits for 4 samples"),
        (lambda x: x[:, :3], "does not run on inputs like the example: mat1 and mat2"),
        (lambda x: x + torch.rand_like(x), "draws random numbers"),
        (lambda x: torch.linalg.svd(x @ x.T)[0] @ x, "not on the list of operators"),
    ],
)
def test_what_cannot_be_exported_is_explained(middle: Callable[[Tensor], Tensor], message: str, tmp_path: Path) -> None:
    model = Net(middle).train()
    with pytest.raises(OgaError, match=message):
        oga_core.package_model(model, torch.randn(4, 4), tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    assert model.training
    assert not list(tmp_path.iterdir()), "nothing is left behind"


class Named(NamedTuple):
    hidden: Tensor
    logits: Tensor


@dataclass
class Data:
    hidden: Tensor
    logits: Tensor


@pytest.mark.parametrize("kind", [Named, Data])
def test_outputs_that_no_file_can_name_are_refused(kind: Callable[..., Any], tmp_path: Path) -> None:
    class Telling(Net):
        def forward(self, x: Tensor) -> Any:
            return kind(x, super().forward(x))

    with pytest.raises(OgaError, match=r"gives a class of its own.*such as \{'logits': logits\}"):
        oga_core.package_model(Telling(), torch.randn(4, 4), tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    assert not list(tmp_path.iterdir())


def test_a_model_with_a_memory_is_refused_and_keeps_it(tmp_path: Path) -> None:
    class Counting(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Any:
            self.calls += 1
            return super().forward(x) + self.calls

    model = Counting()
    with pytest.raises(OgaError, match="writes into its own input, buffer or parameter"):
        oga_core.package_model(model, torch.randn(4, 4), tmp_path / "m.pt2", classes=CLASSES, modality="tabular")
    assert model.calls == 0


def test_one_number_for_two_classes_is_told_how_to_become_two(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
    with pytest.raises(OgaError, match=r"one number a sample for two classes.*torch\.cat\("):
        oga_core.package_model(model, torch.randn(4, 4), tmp_path / "m.pt2", classes=["a", "b"], modality="tabular")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["a", "b"]}, "gives 3 logits, but 2 classes are named"),
        ({"classes": "abc"}, "must be a list of names"),
        ({"classes": ["a", "a", "b"]}, "names a class twice"),
        ({"modality": "smell"}, "Unknown modality"),
        ({"example": []}, "must be a tensor, a tuple of tensors or a dict"),
        ({"example": {"x": [1.0]}}, "got list"),
        ({"example": (torch.ones(3, 4), torch.ones(2, 4))}, r"batch as their first dimension, got sizes \[2, 3\]"),
        (
            {"example": nn.utils.rnn.pack_sequence([torch.ones(2, 4)])},
            r"padded tensor and the lengths.*oga_core\.score",
        ),
        ({"path": "m.pt"}, "must end in .pt2"),
        ({"path": "nowhere/m.pt2"}, "no folder"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "example": torch.randn(3, 4),
        "path": "m.pt2",
        "classes": CLASSES,
        "modality": "tabular",
    }
    arguments |= change
    with pytest.raises(OgaError, match=message):
        oga_core.package_model(Net(), arguments.pop("example"), tmp_path / arguments.pop("path"), **arguments)


def test_the_name_is_imported_only_when_asked_for() -> None:
    assert oga_core.__version__
    with pytest.raises(AttributeError, match="no attribute 'packagemodel'"):
        oga_core.packagemodel  # noqa: B018
