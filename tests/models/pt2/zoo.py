"""Ten small models with random weights: each is a real architecture, small enough to export within a test."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Example:
    """One model of the zoo, and how to make inputs for it: `inputs(batch, length)`."""

    build: Callable[[], nn.Module]
    inputs: Callable[[int, int], dict[str, Tensor]]
    has_length: bool = False

    @property
    def dynamic_shapes(self) -> dict[str, dict[int, object]]:
        """Every batch dimension, and for token inputs the length, left open."""
        free = torch.export.Dim.DYNAMIC
        axes = {0: free, 1: free} if self.has_length else {0: free}
        return {name: dict(axes) for name in self.inputs(2, 4)}


class SmallCNN(nn.Module):
    """Convolutions, batch norm with running statistics, in-place ReLU, pooling and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean(dim=(2, 3)))


class Logits(nn.Module):
    """A Hugging Face model that returns its logits only."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def _small_cnn() -> nn.Module:
    model = SmallCNN()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, 3, 16, 16))
    return model


def _resnet() -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    return ResNetForImageClassification(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5)
    )


def _vit(attention: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from transformers import ViTConfig, ViTForImageClassification

        config = ViTConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, image_size=16,
            patch_size=4, num_labels=5, attn_implementation=attention,
        )  # fmt: skip
        return ViTForImageClassification(config)

    return build


def _bert(attention: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from transformers import BertConfig, BertForSequenceClassification

        config = BertConfig(
            vocab_size=99, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
            max_position_embeddings=32, num_labels=3, attn_implementation=attention,
        )  # fmt: skip
        return BertForSequenceClassification(config)

    return build


def _llama(attention: str, lora: bool) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=97, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
            intermediate_size=48, max_position_embeddings=64, use_cache=False, tie_word_embeddings=not lora,
            attn_implementation=attention,
        )  # fmt: skip
        model: nn.Module = LlamaForCausalLM(config)
        if lora:
            from peft import LoraConfig, get_peft_model

            adapters = LoraConfig(
                r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers in an old way
                model = get_peft_model(model, adapters)
        return model

    return build


def _images(batch: int, _length: int) -> dict[str, Tensor]:
    return {"x": torch.randn(batch, 3, 16, 16)}


def _pixels(batch: int, _length: int) -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(batch, 3, 16, 16)}


def _tokens(batch: int, length: int) -> dict[str, Tensor]:
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[0, length - 2 :] = 0
    return {"input_ids": torch.randint(3, 90, (batch, length)), "attention_mask": mask}


ZOO: dict[str, Example] = {
    "small_cnn": Example(_small_cnn, _images),
    "resnet": Example(_resnet, _pixels),
    "vit_eager": Example(_vit("eager"), _pixels),
    "vit_sdpa": Example(_vit("sdpa"), _pixels),
    "bert_eager": Example(_bert("eager"), _tokens, has_length=True),
    "bert_sdpa": Example(_bert("sdpa"), _tokens, has_length=True),
    "llama_eager": Example(_llama("eager", lora=False), _tokens, has_length=True),
    "llama_sdpa": Example(_llama("sdpa", lora=False), _tokens, has_length=True),
    "llama_lora_eager": Example(_llama("eager", lora=True), _tokens, has_length=True),
    "llama_lora_sdpa": Example(_llama("sdpa", lora=True), _tokens, has_length=True),
}


def build(name: str) -> nn.Module:
    """Return the named model with its seeded random weights, in eval mode."""
    torch.manual_seed(0)
    return ZOO[name].build().eval()


def export(name: str, model: nn.Module) -> torch.export.ExportedProgram:
    """Export the model as a user would, with a dynamic batch and, for tokens, a dynamic length."""
    example = ZOO[name]
    torch.manual_seed(1)
    inputs = example.inputs(2, 8)
    return torch.export.export(model, (), kwargs=inputs, dynamic_shapes=example.dynamic_shapes)


def logits_of(output: object) -> Tensor:
    """Return the logits of a plain or Hugging Face output."""
    logits = getattr(output, "logits", output)
    assert isinstance(logits, Tensor)
    return logits
