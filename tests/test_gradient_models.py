"""Whole models as people bring them: Hugging Face, PEFT, `.pt2`, and models the fast way must refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, random_samples
from test_gradient_capture import InPlaceAfterBatchNorm, assert_exact, exact_norms
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.gradients import PassOptions, gradient_pass
from oga_core.gradients.calls import Site
from oga_core.gradients.oracle import loop_gradients, vmap_gradients
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.models.pt2 import read_pt2

SMALL = {
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_labels": 3,
    "vocab_size": 11,
}


class Logits(nn.Module):
    """A Hugging Face model that returns its logits."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).logits


def hugging_face(name: str) -> nn.Module:
    import transformers as t

    torch.manual_seed(0)
    configs = {
        "bert": lambda: t.BertForSequenceClassification(t.BertConfig(**SMALL)),
        "bert, sdpa": lambda: t.BertForSequenceClassification(t.BertConfig(**SMALL, attn_implementation="sdpa")),
        "distilbert": lambda: t.DistilBertForSequenceClassification(
            t.DistilBertConfig(dim=8, hidden_dim=12, n_layers=2, n_heads=2, num_labels=3, vocab_size=11)
        ),
        "gpt2": lambda: t.GPT2ForSequenceClassification(
            t.GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=11, num_labels=3, pad_token_id=0)
        ),
        "llama": lambda: t.LlamaForSequenceClassification(t.LlamaConfig(**SMALL, pad_token_id=0)),
        "t5 encoder": lambda: _T5(t),
        "vit": lambda: t.ViTForImageClassification(
            t.ViTConfig(
                hidden_size=8,
                intermediate_size=12,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=8,
                patch_size=4,
                num_labels=3,
            )
        ),
        "swin": lambda: t.SwinForImageClassification(
            t.SwinConfig(
                image_size=16, patch_size=2, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4, num_labels=3
            )
        ),
        "resnet": lambda: t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", num_labels=3)
        ),
        "convnext": lambda: t.ConvNextForImageClassification(
            t.ConvNextConfig(hidden_sizes=[8, 12, 12, 16], depths=[1, 1, 1, 1], patch_size=2, num_labels=3)
        ),
    }
    return configs[name]().eval()


def _T5(t) -> nn.Module:
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = t.T5EncoderModel(
                t.T5Config(d_model=8, d_kv=4, d_ff=12, num_layers=2, num_heads=2, vocab_size=11)
            )
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return type("Output", (), {"logits": self.head(self.encoder(x).last_hidden_state.mean(1))})

    return Classifier()


IMAGES = {"vit": 8, "swin": 16, "resnet": 32, "convnext": 32}


@pytest.mark.parametrize(
    "name", ["bert", "bert, sdpa", "distilbert", "gpt2", "llama", "t5 encoder", "vit", "swin", "resnet", "convnext"]
)
def test_hugging_face_models(name, tmp_path):
    size = IMAGES.get(name)
    samples = random_samples(6, 3, size, size) if size else random_samples(6, 7, tokens=11)
    assert_exact(Logits(hugging_face(name)), samples, tmp_path, batch_size=4)


@pytest.mark.parametrize("name", ["conv", "bert", "vit", "llama"])
def test_the_graph_of_a_pt2_file_gives_the_same_gradients(name, tmp_path):
    torch.manual_seed(0)
    model = (InPlaceAfterBatchNorm() if name == "conv" else Logits(hugging_face(name))).eval()
    samples = random_samples(6, 3, 8, 8) if name in ("conv", "vit") else random_samples(6, 7, tokens=11)
    example = torch.from_numpy(np.stack([samples.inputs[0], samples.inputs[1]]))
    program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, tmp_path / "model.pt2")
    graph = read_pt2(tmp_path / "model.pt2")[0].eval()
    eager = gradient_pass(ArrayTask(), model, samples, folder=tmp_path / "a", options=PassOptions(parameters="all"))
    found = gradient_pass(ArrayTask(), graph, samples, folder=tmp_path / "b", options=PassOptions(parameters="all"))
    assert not found.notes
    assert found.sketch.coverage == 1
    np.testing.assert_allclose(found.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=1e-4)
    np.testing.assert_allclose(found.sketch.sketch, eager.sketch.sketch, atol=1e-4)
    np.testing.assert_array_equal(found.sketch.features, eager.sketch.features)


@dataclass
class LanguageTask(ArrayTask):
    """Next-token loss on token ids."""

    def outputs(self, model: nn.Module, batch) -> Tensor:
        return model(input_ids=batch["x"]).logits

    def losses(self, outputs: Tensor, batch) -> Tensor:
        targets = batch["x"][:, 1:]
        return nn.functional.cross_entropy(outputs[:, :-1].transpose(1, 2), targets, reduction="none").mean(1)


def norms_by_loop(task, model, samples, choice) -> np.ndarray:
    parameters = choose_parameters(model, choice)
    batch = task.batch(samples, np.arange(len(samples)))
    parts = loop_gradients(task, model, batch, parameters)
    return np.array([float(torch.cat([g.flatten() for g in part.values()]).norm()) for part in parts])


@pytest.mark.parametrize("tied", [False, True])
def test_causal_language_model(tied, tmp_path):
    import transformers as t

    torch.manual_seed(0)
    config = t.LlamaConfig(**{**SMALL, "num_labels": 2}, tie_word_embeddings=tied)
    model, samples, task = t.LlamaForCausalLM(config).eval(), random_samples(6, 7, tokens=11), LanguageTask()
    result = gradient_pass(task, model, samples, folder=tmp_path, options=PassOptions(batch_size=4))
    assert result.notes == ("The model has no classes, so the gradient of its parameters is computed: all.",)
    assert result.sketch.logits is None
    assert result.sketch.features is None
    np.testing.assert_allclose(result.sketch.l2_norm_all, norms_by_loop(task, model, samples, "all"), rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_only_the_adapter_of_a_peft_model(tmp_path):
    import transformers as t
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    base = t.LlamaForCausalLM(t.LlamaConfig(**{**SMALL, "num_labels": 2}))
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"])).eval()
    for name, p in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(p)
    samples, task = random_samples(6, 7, tokens=11), LanguageTask()
    result = gradient_pass(task, model, samples, folder=tmp_path, options=PassOptions(parameters="lora", batch_size=4))
    assert (result.notes, result.sketch.coverage) == ((), 1)
    np.testing.assert_allclose(result.sketch.l2_norm_all, norms_by_loop(task, model, samples, "lora"), rtol=1e-4)


class Recurrent(nn.Module):
    """A layer the fast way has no rule for."""

    def __init__(self, layer: type[nn.Module]):
        super().__init__()
        self.layer, self.head = layer(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class NoRule(nn.Module):
    """Parameters met by functions without a rule, with a layer that has one before and behind."""

    def __init__(self, shape: tuple[int, ...], function):
        super().__init__()
        self.first, self.head, self.function = nn.Linear(6, 6), nn.Linear(6, 3), function
        self.weight = nn.Parameter(torch.randn(*shape))

    def forward(self, x):
        return self.head(self.function(self.first(x).tanh(), self.weight).tanh())


def two_views(x: Tensor, weight: Tensor) -> Tensor:
    one, other = nn.functional.conv1d(torch.cat([x[:, None], x.flip(1)[:, None] * 2]), weight).tanh().chunk(2)
    return (one * other).mean(2)


NO_RULE = {
    "einsum": lambda: NoRule((6, 6), lambda x, w: torch.einsum("bi,oi->bo", x, w)),
    "bilinear": lambda: NoRule((6, 6, 6), lambda x, w: nn.functional.bilinear(x, x.flip(1), w)),
    "convolution of two views, joined": lambda: NoRule((6, 1, 1), two_views),
    "lookup": lambda: NoRule((4, 6), lambda x, w: w[x.argsort(1)[:, 0] % 4] * x),
}


@pytest.mark.parametrize("name", NO_RULE)
def test_functions_without_a_rule_are_computed_by_vmap(name, tmp_path, monkeypatch):
    torch.manual_seed(0)
    model, samples = NO_RULE[name](), random_samples(9, 6)
    asked = []

    def watched(task, model, batch, parameters):
        asked.append(list(parameters))
        yield from vmap_gradients(task, model, batch, parameters)

    monkeypatch.setattr("oga_core.gradients.full_pass.vmap_gradients", watched)
    assert_exact(model, samples, tmp_path)
    assert asked
    assert all(names == ["weight"] for names in asked)


def test_a_recurrent_layer_is_computed_by_vmap(tmp_path):
    assert_exact(Recurrent(nn.LSTM), random_samples(8, 5, 4), tmp_path)


def test_what_no_fast_way_computes_is_left_out_and_counted(tmp_path):
    model, samples = Recurrent(nn.GRU), random_samples(8, 5, 4)  # vmap cannot run it
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=PassOptions(parameters="all"))
    head = 5 * 3 + 3
    share = head / sum(p.numel() for p in model.parameters())
    assert result.sketch.coverage == pytest.approx(share)
    assert result.sketch.check_error < 1e-5
    assert f"cover {share:.1%} of the parameters; left out are layer.bias_hh_l0, layer." in result.notes[0]
    head_norms = exact_norms(model, samples, {"head.weight", "head.bias"})[1]
    np.testing.assert_allclose(result.sketch.l2_norm_all, head_norms, rtol=1e-4)


def test_a_gradient_of_nothing_is_an_error(tmp_path):
    options = PassOptions(parameters="pattern:layer")
    with pytest.raises(OgaError, match=r"no way to compute the gradient of layer\.bias_hh_l0, .*--parameters head"):
        gradient_pass(ArrayTask(), Recurrent(nn.GRU), random_samples(8, 5, 4), folder=tmp_path, options=options)


@pytest.mark.parametrize(("name", "value"), [("VMAP_BYTES", 4 * 35), ("_SMALL", 80)])
def test_vmap_is_not_tried_where_it_costs_more_than_it_gives(name, value, tmp_path, monkeypatch):
    monkeypatch.setattr("oga_core.gradients.full_pass._WORTH_VMAP", 0.4)  # the weight is 36 of 99 numbers
    monkeypatch.setattr(f"oga_core.gradients.full_pass.{name}", value)
    options = PassOptions(parameters="all")
    result = gradient_pass(ArrayTask(), NO_RULE["einsum"](), random_samples(9, 6), folder=tmp_path, options=options)
    assert result.sketch.coverage == pytest.approx(1 - 36 / 99)
    assert result.notes == ("The gradients cover 63.6% of the parameters; left out are weight.",)


class Detached(nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.body, self.head, self.how = nn.Linear(6, 6), nn.Linear(6, 3), how

    def forward(self, x):
        if self.how == "no_grad":
            with torch.no_grad():
                x = self.body(x)
        else:
            x = self.body(x).detach()
        logits = self.head(x)
        return nn.functional.one_hot(logits.argmax(1), 3).float() if self.how == "argmax" else logits


@pytest.mark.parametrize(
    ("how", "choice"), [("no_grad", "pattern:body"), ("detach", "pattern:body"), ("argmax", "all")]
)
def test_a_loss_that_does_not_depend_on_the_parameters(how, choice, tmp_path):
    with pytest.raises(OgaError, match=r"loss does not depend on body\.bias, .*Choose --parameters head"):
        gradient_pass(
            ArrayTask(), Detached(how), random_samples(8, 6), folder=tmp_path, options=PassOptions(parameters=choice)
        )


class Experts(nn.Module):
    """Each sample goes to one of three layers, chosen by its content."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.gate, self.head = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        shares = self.gate(x).softmax(1)
        best, out = shares.argmax(1), torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = (best == i).nonzero()[:, 0]
            if len(rows):
                out = out.index_add(0, rows, expert(x[rows]).tanh() * shares[rows, i][:, None])
        return self.head(out)


@pytest.mark.parametrize("seed", range(4))
def test_samples_routed_by_their_content(seed, tmp_path):
    torch.manual_seed(seed)
    model, samples = Experts().eval(), random_samples(40, 6)
    options = PassOptions(parameters="all", batch_size=8)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    names = None
    if result.sketch.coverage < 1:  # every batch met all three
        assert "left out are experts.0.bias" in result.notes[0]
        names = {name for name, _ in model.named_parameters() if "experts" not in name}
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples, names)[1], rtol=1e-4)


class Switch(nn.Module):
    """Takes another layer, or the same layer on part of the batch, where a batch has a rare sample."""

    def __init__(self, how: str):
        super().__init__()
        self.one, self.other, self.head, self.how = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3), how

    def forward(self, x):
        rare = x[:, 0] > 50
        if not rare.any():
            return self.head(self.one(x).tanh())
        if self.how == "another layer":
            return self.head(self.other(x / 100).tanh())
        if self.how == "one call more":
            return self.head(self.one(self.one(x / 100)).tanh())
        if self.how == "no rule":
            return self.head(torch.einsum("bi,oi->bo", x / 100, self.one.weight).tanh())
        out = torch.zeros_like(x)
        out[rare], out[~rare] = self.one(x[rare] / 100).tanh(), self.other(x[~rare]).tanh()
        return self.head(out)


@pytest.mark.parametrize("how", ["another layer", "one call more", "no rule", "parts of the batch"])
def test_a_later_batch_that_meets_other_calls_is_computed_another_way(how, tmp_path, monkeypatch):
    monkeypatch.setattr("oga_core.gradients.walk.SECONDS_BETWEEN_RECORDS", 0.0)
    torch.manual_seed(0)
    model, samples, options = Switch(how), random_samples(40, 6), PassOptions(parameters="all", batch_size=8)
    samples.inputs[30, 0] = 100
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    assert "layers meet other samples in one batch than in another" in result.notes[0]
    assert result.sketch.coverage == 1
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=1e-4)


class Mixing(nn.Module):
    """Hides the batch from the fast way: rows are reordered by a data-independent permutation of a larger axis."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        n, time, size = x.shape
        x = x.flip(0).reshape(n * time, size)
        return self.head(self.layer(x).tanh().view(n, time, size).flip(0).mean(1))


@pytest.mark.parametrize("way", ["vmap", "loop"])
def test_what_fails_the_self_check_is_computed_a_slower_way(way, tmp_path, monkeypatch):
    if way == "loop":
        monkeypatch.setattr("oga_core.gradients.full_pass.vmap_gradients", vmap_of_another_model)
    samples, model = random_samples(8, 5, 4), Mixing()
    options = PassOptions(parameters="all", exact_l1=True)
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    assert re.search("by hooks did not pass the self-check .* computed by vmap", result.notes[0])
    assert len(result.notes) == (1 if way == "vmap" else 2)
    l1, l2 = exact_norms(model, samples)
    np.testing.assert_allclose(result.sketch.l2_norm_all, l2, rtol=1e-4)
    np.testing.assert_allclose(result.sketch.l1_norm_all, l1, rtol=1e-4)
    assert result.sketch.check_error < 1e-5
    assert result.sketch.coverage == 1


def test_an_error_of_half_a_thousandth_does_not_pass_the_self_check(tmp_path, monkeypatch):
    exact = Site.input
    monkeypatch.setattr(Site, "input", lambda site: exact(site) * 1.0005)
    torch.manual_seed(0)
    samples = random_samples(8, 3, 8, 8)
    result = gradient_pass(
        ArrayTask(), InPlaceAfterBatchNorm(), samples, folder=tmp_path, options=PassOptions(parameters="all")
    )
    assert re.search("by hooks did not pass the self-check .relative error [1-9].[0-9]e-04", result.notes[0])


def vmap_of_another_model(task, model, batch, parameters):
    for part in vmap_gradients(task, model, batch, parameters):
        yield {name: 2 * gradient for name, gradient in part.items()}


def test_bfloat16_is_close_and_summed_in_float32(tmp_path):
    samples, model = random_samples(8, 3, 8, 8), InPlaceAfterBatchNorm().eval()
    options = PassOptions(parameters="all", precision="bfloat16")
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    assert result.sketch.sketch.dtype == np.float32
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=0.05)


@pytest.mark.parametrize(
    ("choice", "first", "count"),
    [
        ("all", "0.0.weight", 6),
        ("last:1", "2.0.weight", 2),
        ("last:2", "1.0.weight", 4),
        ("last:9", "0.0.weight", 6),
        ("pattern:bias$", "0.0.bias", 3),
    ],
)
def test_choice_of_parameters(choice, first, count):
    model = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2)) for _ in range(3)))
    chosen = list(choose_parameters(model, choice))
    assert (chosen[0], len(chosen)) == (first, count)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("most", r"Unknown choice of parameters 'most'.*last:N"),
        ("last:0", "Unknown choice"),
        ("lora", "matches none of the model's 2: weight, bias"),
        ("pattern:[", "not a valid regular expression"),
    ],
)
def test_wrong_choice_of_parameters(choice, message):
    with pytest.raises(OgaError, match=message):
        choose_parameters(nn.Linear(2, 2), choice)


def test_all_means_what_the_model_trains():
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert list(choose_parameters(model, "all")) == ["weight"]
    model.weight.requires_grad_(False)
    assert list(choose_parameters(model, "all")) == ["weight", "bias"]
