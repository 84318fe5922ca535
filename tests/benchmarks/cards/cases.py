"""Models with random weights and one batch each, for `gpu.py`: networks for images, sentences and language.

Written here or built from configurations, so that nothing is read from the network or from other packages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from oga_core.tasks.cross_entropy import token_losses
from oga_core.tasks.task import Batch, classification_losses

CLASSES = 10


@dataclass
class Case:
    """A model with one batch. precisions: as in PassOptions; a model with weights of 16 bits is measured as it is."""

    model: nn.Module
    task: Any
    batch: Batch
    precisions: tuple[str, ...] = ("float32", "tf32", "bfloat16")
    parameters: str = "all"
    tokens: int = 0


class Images:
    """Images as they are, classes as labels."""

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        outputs = model(batch["x"])
        return getattr(outputs, "logits", outputs)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return classification_losses(outputs, batch)

    def views(self, batch: Batch) -> list[Batch]:
        return []


class Sentences(Images):
    """Token ids with a mask."""

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


class Language(Images):
    """Next-token loss, the mean over all tokens."""

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(input_ids=batch["input_ids"], use_cache=False).logits

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        targets = batch["input_ids"][:, 1:]
        return token_losses(outputs[:, :-1].flatten(0, 1), targets.flatten()).view_as(targets).mean(1)


class Block(nn.Module):
    """A residual block: two convolutions of 3, or a bottleneck of 1, 3 and 1."""

    def __init__(self, n_in: int, width: int, stride: int, bottleneck: bool):
        super().__init__()
        n_out = 4 * width if bottleneck else width
        sizes = [(n_in, width, 1), (width, width, 3), (width, n_out, 1)] if bottleneck else []
        sizes = sizes or [(n_in, width, 3), (width, n_out, 3)]
        strided = 1 if bottleneck else 0
        self.layers = nn.ModuleList(convolution(*size, stride if i == strided else 1) for i, size in enumerate(sizes))
        self.short = convolution(n_in, n_out, 1, stride) if stride > 1 or n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        rest = x
        for i, layer in enumerate(self.layers):
            rest = layer(rest)
            rest = rest.relu() if i < len(self.layers) - 1 else rest
        return (rest + self.short(x)).relu()


def convolution(n_in: int, n_out: int, size: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(n_out))


class ResNet(nn.Module):
    """Residual network; stem 3 for small images, 7 with pooling for large ones."""

    def __init__(self, depths: tuple[int, ...], width: int, *, bottleneck: bool, stem: int):
        super().__init__()
        self.stem = convolution(3, width, stem, 2 if stem == 7 else 1)
        self.pool = nn.MaxPool2d(3, 2, 1) if stem == 7 else nn.Identity()
        n_in = width
        blocks = []
        for stage, depth in enumerate(depths):
            for i in range(depth):
                blocks.append(Block(n_in, width * 2**stage, 2 if i == 0 and stage else 1, bottleneck))
                n_in = width * 2**stage * (4 if bottleneck else 1)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(n_in, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.pool(self.stem(x).relu())).mean((2, 3)))


def images(model: nn.Module, n: int, size: int) -> Case:
    return Case(model, Images(), {"x": torch.randn(n, 3, size, size), "labels": torch.randint(0, CLASSES, (n,))})


def resnet18(small: bool) -> Case:
    return images(ResNet((2, 2, 2, 2), 16 if small else 64, bottleneck=False, stem=3), 8 if small else 1024, 32)


def resnet50(small: bool) -> Case:
    model = ResNet((1, 1, 1, 1) if small else (3, 4, 6, 3), 16 if small else 64, bottleneck=True, stem=7)
    return images(model, 4 if small else 256, 64 if small else 224)


def vit(small: bool) -> Case:
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = ViTConfig(**(sizes if small else {}), image_size=32 if small else 224, num_labels=CLASSES)
    return images(ViTForImageClassification(config), 4 if small else 128, 32 if small else 224)


def bert(small: bool) -> Case:
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 96, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertForSequenceClassification(BertConfig(**(sizes if small else {}), num_labels=CLASSES))
    n, time = (4, 16) if small else (128, 128)
    mask = torch.ones(n, time, dtype=torch.long)
    mask[: n // 2, time - time // 8 :] = 0
    ids = torch.randint(0, 30522, (n, time))
    return Case(model, Sentences(), {"input_ids": ids, "attention_mask": mask, "labels": torch.zeros(n).long()})


def llama(small: bool, lora: bool = False, small_model: bool = False) -> Case:
    """1.1 B parameters as TinyLlama, or 160 M; all linear layers of its blocks, or adapters."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {
        "hidden_size": 64 if small else 768 if small_model else 2048,
        "intermediate_size": 128 if small else 3072 if small_model else 5632,
        "num_hidden_layers": 2 if small else 12 if small_model else 22,
        "num_attention_heads": 2 if small else 12 if small_model else 32,
        "num_key_value_heads": 2 if small else 12 if small_model else 4,
    }
    model: nn.Module = LlamaForCausalLM(LlamaConfig(vocab_size=1000 if small else 32000, **sizes)).bfloat16()
    n, time = (2, 16) if small else (32 if small_model else 8, 512)
    if lora:
        model = adapted(model)
    tokens = torch.randint(0, 1000 if small else 32000, (n, time))
    batch = {"input_ids": tokens, "labels": tokens}
    choice = "lora" if lora else r"pattern:layers\..*proj"
    return Case(model, Language(), batch, ("float32",), choice, tokens=n * time)


def adapted(model: nn.Module) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(model, LoraConfig(r=16, target_modules=layers))  # type: ignore[arg-type]
    for name, p in adapted.named_parameters():
        if "lora_" in name:
            p.data = p.data.bfloat16()
        if "lora_B" in name:
            nn.init.normal_(p, std=0.02)
    return adapted


CASES: dict[str, Callable[[bool], Case]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "vit_b16": vit,
    "bert_base": bert,
    "llama_1b": llama,
    "llama_1b_lora": lambda small: llama(small, lora=True),
    "llama_160m": lambda small: llama(small, small_model=True),
}
