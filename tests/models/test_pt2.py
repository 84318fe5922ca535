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
from oga_core.models.pt2 import read_pt2
from oga_core.models.pt2_module import GraphModule

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
    found = torch.autograd.grad(
        loss(module, one), [p for p in module.parameters() if p.requires_grad], allow_unused=True
    )
    assert any(gradient is not None for gradient in expected)
    for n, want, got in zip(trainable, expected, found, strict=True):
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


class Head(nn.Module):
    """A linear head behind any function of the input."""

    def __init__(
        self, before: Callable[[Tensor], Any] = lambda x: x, after: Callable[..., Any] = lambda h, x: h
    ) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.head(self.before(x)), x)


@pytest.mark.parametrize(
    "after",
    [
        lambda h, x: {"features": x, "logits": h},
        lambda h, x: (x.sum(), x[:, None, None] * 1.0, h),
        lambda h, x: {"loss": x.sum(), "scores": h, "hidden": (x[:, None], x)},
        lambda h, x: (x.argmax(1), [h, x]),
    ],
)
def test_the_logits_are_found_among_the_outputs(after: Callable[..., Any], tmp_path: Path) -> None:
    model, x = Head(after=after).eval(), torch.randn(3, 4)
    module = roundtrip(model, (x,), tmp_path)
    assert torch.equal(module(x), model.head(x))


def test_a_model_without_logits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OgaError, match="no output of shape"):
        roundtrip(Head(after=lambda h, x: h.argmax(1)).eval(), (torch.randn(3, 4),), tmp_path)


def test_inputs_in_a_dict_are_named_after_it(tmp_path: Path) -> None:
    class Model(Head):
        def forward(self, batch: dict[str, Tensor]) -> Tensor:
            return self.head(batch["a"]) + batch["b"]

    model, batch = Model().eval(), {"a": torch.randn(3, 4), "b": torch.randn(3, 3)}
    program = torch.export.export(model, (batch,), dynamic_shapes=({name: {0: DYNAMIC} for name in batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    module, card = read_pt2(tmp_path / "model.pt2")
    assert card is None
    assert module.input_names == ("batch_a", "batch_b")
    assert torch.equal(module(**batch), model(batch))
    assert torch.equal(module(batch), model(batch))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    # the graph itself casts to the half dtype, which must not bring it back
    model = Head(before=lambda x: x.float().softmax(-1).to(dtype)).to(dtype).eval()
    x = torch.randn(3, 4)
    module = roundtrip(model, (x.to(dtype),), tmp_path)
    assert module.notes == (f"The model's {str(dtype)[6:]} weights are used as float32.",)
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    exact = model.float().head(x.softmax(-1))
    torch.testing.assert_close(module(x), exact, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:No complete tensor found")
def test_memory_format_and_precision_of_weights_are_kept(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 3)).double().eval()
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    module = roundtrip(model, (x,), tmp_path)
    assert module.get_parameter("0.weight").stride() == model[0].weight.stride()
    assert torch.equal(module(x), model(x))


def test_dropout_of_a_training_export_is_switched_off(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 3)).train()
    module = roundtrip(model, (torch.randn(3, 4),), tmp_path)
    assert module.notes == ("The model was exported in training mode; its dropout is switched off.",)
    x = torch.randn(5, 4)
    assert torch.equal(module(x), model.eval()(x))
    assert not module.train().training


def test_batch_norm_of_a_training_export_is_refused(tmp_path: Path) -> None:
    for momentum in (0.1, None):
        model = nn.Sequential(
            nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=momentum, track_running_stats=momentum is not None)
        )
        with pytest.raises(OgaError, match=r"exported in training mode.*model\.eval\(\)"):
            roundtrip(model.train(), (torch.randn(3, 4),), tmp_path)


@pytest.mark.parametrize(
    "before",
    [
        lambda x: x.sub_(1.0),
        lambda x: x.view(-1, 4).mul_(2.0),
        lambda x: x[:, :2].add_(1.0).repeat(1, 2),
        lambda x: x.contiguous().relu_(),
    ],
)
def test_writing_into_the_input_is_refused(before: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=r"writes into its own input, buffer or parameter \(x\)"):
        roundtrip(Head(before=before).eval(), (torch.randn(3, 4),), tmp_path)


def test_a_counting_buffer_is_refused(tmp_path: Path) -> None:
    class Counting(Head):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls.add_(1.0)
            return self.head(x) + self.calls

    with pytest.raises(OgaError, match="writes into its own input, buffer or parameter"):
        roundtrip(Counting().eval(), (torch.randn(3, 4),), tmp_path)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (lambda x: x + torch.randn_like(x), "draws random numbers"),
        (lambda x: torch.linalg.inv(x.T @ x) @ x.T @ x.new_ones(3, 4), "not on the list of operators"),
    ],
)
def test_operators_outside_the_list_are_named(before: Callable[[Tensor], Tensor], message: str, tmp_path: Path) -> None:
    with pytest.raises(OgaError, match=message):
        roundtrip(Head(before=before).eval(), (torch.randn(3, 4),), tmp_path, dynamic=False)


def assigned(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, 0] = x[:, 1]
    y[:, 1:3] = 2.0
    y[x > 0] = -1.0
    return y


@pytest.mark.parametrize("before", [assigned, lambda x: (x * 2).relu_().add_(1.0)])
def test_writing_into_own_values_is_kept(before: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    model, x = Head(before=before).eval(), torch.randn(3, 4)
    module = roundtrip(model, (torch.randn(2, 4),), tmp_path)
    assert torch.equal(module(x), model(x))


def test_an_export_with_a_fixed_batch_runs_on_others(tmp_path: Path) -> None:
    model, x = Head().eval(), torch.randn(5, 4)
    assert torch.equal(roundtrip(model, (torch.randn(2, 4),), tmp_path, dynamic=False)(x), model(x))


def test_arithmetic_on_sizes_follows_the_inputs(tmp_path: Path) -> None:
    def before(x: Tensor) -> Tensor:
        n = x.shape[0]
        grid = torch.arange(n * 2, dtype=torch.float32).view(n, 2).repeat_interleave(2, dim=1)
        return x + grid / max(n // 2, 1) + x.new_ones((n, 4))

    model = Head(before=before).eval()
    module = roundtrip(model, (torch.randn(6, 4),), tmp_path)
    for n in (2, 5, 9):
        x = torch.randn(n, 4)
        torch.testing.assert_close(module(x), model(x))


def test_an_assumption_on_a_size_is_checked(tmp_path: Path) -> None:
    """The export holds one branch only; running it for other sizes would be wrong in silence."""

    def before(x: Tensor) -> Tensor:
        return x * 2 if x.shape[0] % 3 == 0 else x

    model = Head(before=before).eval()
    module = roundtrip(model, (torch.randn(6, 4),), tmp_path)
    x = torch.randn(9, 4)
    assert torch.equal(module(x), model(x))
    with pytest.raises(OgaError, match=r"works only where .*x\.shape\[0\] % 3.*; it got x \(7, 4\)"):
        module(torch.randn(7, 4))


def test_no_grad_blocks_cut_gradients(tmp_path: Path) -> None:
    def before(x: Tensor) -> Tensor:
        with torch.no_grad():
            y = x.sin()
        return x * y

    model, x = Head(before=before).eval(), torch.randn(3, 4, requires_grad=True)
    module = roundtrip(model, (torch.randn(2, 4),), tmp_path)
    expected, found = (torch.autograd.grad(m(x).sum(), x)[0] for m in (model, module))
    assert torch.equal(found, expected)
