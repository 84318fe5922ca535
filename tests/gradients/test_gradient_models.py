"""Whole models as people bring them: Hugging Face, PEFT, `.pt2`, and models the fast method must refuse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from engine_helpers import ArrayTask, assert_exact, exact_norms, random_samples
from test_gradient_images import InPlaceAfterBatchNorm
from torch import Tensor, nn

from oga_core.gradients.methods.oracle import loop_gradients
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.passes import gradient_pass
from oga_core.models.pt2.reader import read_pt2

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
    exported = gradient_pass(ArrayTask(), graph, samples, folder=tmp_path / "b", options=PassOptions(parameters="all"))
    assert not exported.notes
    assert exported.sketch.coverage == 1
    np.testing.assert_allclose(exported.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=1e-4)
    np.testing.assert_allclose(exported.sketch.sketch, eager.sketch.sketch, atol=1e-4)
    np.testing.assert_array_equal(exported.sketch.features, eager.sketch.features)


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
    assert result.notes == ("The model has no last layer of classes, so its parameters' gradient is computed: all.",)
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


def test_bfloat16_is_close_and_summed_in_float32(tmp_path):
    samples, model = random_samples(8, 3, 8, 8), InPlaceAfterBatchNorm().eval()
    options = PassOptions(parameters="all", precision="bfloat16")
    result = gradient_pass(ArrayTask(), model, samples, folder=tmp_path, options=options)
    assert result.sketch.sketch.dtype == np.float32
    np.testing.assert_allclose(result.sketch.l2_norm_all, exact_norms(model, samples)[1], rtol=0.05)
