"""The `.pt2` reader against the modules that were exported: same outputs to the bit, names, gradients and calls."""

from __future__ import annotations

import copy
import functools
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import zoo
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from oga_core.errors import OgaError
from oga_core.models.pt2.module import GraphModule
from oga_core.models.pt2.reader import read_pt2

DYNAMIC = torch.export.Dim.DYNAMIC


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[nn.Module, GraphModule]]:
    """Give the named model of the zoo and what is read back from its export."""

    @functools.cache
    def load(name: str) -> tuple[nn.Module, GraphModule]:
        model, path = zoo.build(name), tmp_path_factory.mktemp(name) / "model.pt2"
        torch.export.save(zoo.export(name, model), path)
        return model, read_pt2(path)[0]

    return load


def roundtrip(model: nn.Module, inputs: tuple[Any, ...], path: Path, dynamic: bool = True) -> GraphModule:
    """Export a model as a user would and read it back."""
    shapes = tuple({0: DYNAMIC} for _ in inputs) if dynamic else None
    torch.export.save(torch.export.export(model, inputs, dynamic_shapes=shapes), path / "model.pt2")
    return read_pt2(path / "model.pt2")[0]


def loss(module: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    logits = zoo.logits_of(module(**inputs)).flatten(0, -2)
    return F.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[-1])


@pytest.mark.parametrize("name", zoo.ZOO)
def test_same_outputs_names_and_gradients(name: str, loaded: Any) -> None:
    model, module = loaded(name)
    parameters = [(n, p.requires_grad, tuple(p.shape)) for n, p in model.named_parameters()]
    assert [(n, p.requires_grad, tuple(p.shape)) for n, p in module.named_parameters()] == parameters
    assert dict(model.named_buffers()).keys() == dict(module.named_buffers()).keys()
    assert module.state_dict().keys() == model.state_dict().keys()

    torch.manual_seed(2)
    for batch, length in ((4, 8), (3, 8), (3, 7), (1, 8)):
        inputs = zoo.ZOO[name].inputs(batch, length)
        assert module.accepts(inputs)
        torch.testing.assert_close(module(**inputs), zoo.logits_of(model(**inputs)), rtol=0, atol=0)

    one = zoo.ZOO[name].inputs(1, 6)
    trainable = [n for n, p in model.named_parameters() if p.requires_grad]
    expected = torch.autograd.grad(
        loss(model, one), [p for p in model.parameters() if p.requires_grad], allow_unused=True
    )
    gradients = torch.autograd.grad(
        loss(module, one), [p for p in module.parameters() if p.requires_grad], allow_unused=True
    )
    assert any(gradient is not None for gradient in expected)
    for n, want, got in zip(trainable, expected, gradients, strict=True):
        assert (want is None) == (got is None), n
        if want is not None:
            torch.testing.assert_close(got, want, rtol=0, atol=0, msg=n)


class Calls(TorchFunctionMode):
    """Counts which function meets which parameter."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.names = {id(parameter): name for name, parameter in module.named_parameters()}
        self.seen: Counter[tuple[str, str]] = Counter()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if not name.startswith("__"):  # attribute access of an eager module
            for value in (*args, *(kwargs or {}).values()):
                if id(value) in self.names:
                    self.seen[name, self.names[id(value)]] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", zoo.ZOO)
def test_a_function_mode_meets_the_same_calls_as_in_the_module(name: str, loaded: Any) -> None:
    inputs = zoo.ZOO[name].inputs(2, 8)
    seen = []
    for module in loaded(name):
        with Calls(module) as calls:
            module(**inputs)
        seen.append(calls.seen)
        assert {parameter for _, parameter in calls.seen} == {n for n, _ in module.named_parameters()}
    assert seen[0] == seen[1]


class Words(nn.Module):
    """Embedding, layer norm and linear layers on two- and three-dimensional inputs, with and without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Embedding(20, 8), nn.LayerNorm(8)
        self.mix, self.head = nn.Linear(8, 8, bias=False), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.mix(self.norm(self.embed(x)))).mean(1))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch's own, while it decomposes
@pytest.mark.parametrize(
    ("model", "x"),
    [(zoo.build("small_cnn"), torch.randn(3, 3, 16, 16)), (Words().eval(), torch.randint(0, 20, (3, 5)))],
    ids=["cnn", "words"],
)
def test_decomposed_export_calls_the_same_layers(model: nn.Module, x: Tensor, tmp_path: Path) -> None:
    """run_decompositions turns linear into addmm with a transposed weight, all convolutions into one operator, …"""
    program = torch.export.export(model, (x,), dynamic_shapes=({0: DYNAMIC},)).run_decompositions()
    torch.export.save(program, tmp_path / "model.pt2")
    module, _ = read_pt2(tmp_path / "model.pt2")
    assert torch.equal(module(x), model(x))
    seen = []
    for one in (model, module):
        with Calls(one) as calls:
            one(x)
        seen.append(calls.seen)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", ["small_cnn", "bert_eager"])
def test_vmap_over_samples_gives_the_loop_s_gradients(name: str, loaded: Any) -> None:
    _, module = loaded(name)
    inputs = zoo.ZOO[name].inputs(3, 6)
    parameters = {n: p.detach() for n, p in module.named_parameters()}
    rest = {n: b.detach() for n, b in module.named_buffers()}

    def sample_loss(weights: Any, sample: Any) -> Tensor:
        logits = torch.func.functional_call(module, (weights, rest), kwargs={k: v[None] for k, v in sample.items()})
        return logits.square().mean()

    together = torch.func.vmap(torch.func.grad(sample_loss), (None, 0))(parameters, inputs)
    for i in range(3):
        alone = torch.func.grad(sample_loss)(parameters, {k: v[i] for k, v in inputs.items()})
        for n in parameters:
            torch.testing.assert_close(together[n][i], alone[n], rtol=1e-4, atol=1e-6, msg=n)


def test_tied_weights_are_one_parameter(loaded: Any) -> None:
    _, module = loaded("llama_eager")
    assert module.get_parameter("lm_head.weight") is module.get_parameter("model.embed_tokens.weight")


def test_only_adapters_train(loaded: Any) -> None:
    _, module = loaded("llama_lora_sdpa")
    assert {n.split(".")[-3] for n, p in module.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}


def test_a_copy_has_its_own_weights(loaded: Any) -> None:
    _, module = loaded("small_cnn")
    inputs = zoo.ZOO["small_cnn"].inputs(2, 0)
    twin = copy.deepcopy(module)
    with torch.no_grad():
        twin.get_parameter("head.1.bias").add_(1.0)
    torch.testing.assert_close(twin(**inputs), module(**inputs) + 1.0)
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(**inputs), module(**inputs))


def test_inputs_go_by_position_name_or_mapping(loaded: Any) -> None:
    _, module = loaded("bert_eager")
    inputs = zoo.ZOO["bert_eager"].inputs(2, 5)
    assert module.input_names == ("input_ids", "attention_mask")
    assert module.input_shapes == {"input_ids": (None, None), "attention_mask": (None, None)}
    expected = module(**inputs)
    assert torch.equal(module(*inputs.values()), expected)
    assert torch.equal(module(inputs), expected)
    assert torch.equal(module(inputs["input_ids"].int(), attention_mask=inputs["attention_mask"]), expected)


def test_misfit_inputs_are_named(loaded: Any) -> None:
    _, module = loaded("small_cnn")
    small = torch.randn(2, 3, 8, 8)
    assert not module.accepts({"x": small})
    assert not module.accepts({"images": torch.randn(2, 3, 16, 16)})
    with pytest.raises(OgaError, match=r"takes x \(any, 3, 16, 16\); got \(2, 3, 8, 8\)"):
        module(small)
    with pytest.raises(OgaError, match=r"got nothing"):
        module()
    with pytest.raises(OgaError, match=r"got x \(2, 3, 16, 16\), mask \(2\)"):
        module(x=torch.randn(2, 3, 16, 16), mask=torch.ones(2))


def test_a_failing_step_says_where_and_stays_a_runtime_error(loaded: Any) -> None:
    _, module = loaded("bert_eager")
    inputs = zoo.ZOO["bert_eager"].inputs(2, 8)
    inputs["input_ids"][0, 0] = 1000  # not in the vocabulary
    with pytest.raises(
        OgaError, match=r"step embedding\S+ failed on tensors of shape \(.*index out of range"
    ) as failure:
        module(**inputs)
    assert isinstance(failure.value, RuntimeError)


def test_the_longest_input_is_named(loaded: Any) -> None:
    _, module = loaded("bert_eager")
    with pytest.raises(OgaError, match=r"works only where input_ids\.shape\[1\] <= 32; it got input_ids \(2, 40\)"):
        module(**zoo.ZOO["bert_eager"].inputs(2, 40))


class Chain(nn.Module):
    """Layers one after the other, so that only two activations need to live at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(30))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(layer(x))
        return x


class Alive(TorchFunctionMode):
    """The largest number of results that lived at once."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[weakref.ref[Any]] = []
        self.most = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.made.append(weakref.ref(result))
            self.most = max(self.most, sum(ref() is not None for ref in self.made))
        return result


def test_activations_are_freed_after_their_last_use(tmp_path: Path) -> None:
    module = roundtrip(Chain().eval(), (torch.randn(2, 4),), tmp_path)
    with torch.no_grad(), Alive() as alive:
        module(torch.randn(3, 4))
    assert len(alive.made) >= 60
    assert alive.most <= 4
