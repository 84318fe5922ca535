"""Cost of per-sample gradients of all parameters, as multiples of one plain forward and backward pass, as JSON.

One process, one thread, interleaved repeats, medians of ratios within a repeat. Other libraries are measured where they
are installed. Run: OMP_NUM_THREADS=1 python tests/benchmarks/gradients.py [--only NAME] [--repeats N] [--ways NAME,…]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oga_core.gradients.forward_capture import survey
from oga_core.gradients.full_pass import FullPass
from oga_core.gradients.head_pass import HeadPass
from oga_core.gradients.options import PassOptions
from oga_core.gradients.oracle import loop_gradients, vmap_gradients
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.tasks import Batch, Task
from oga_core.tasks.task import classification_losses

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CPU = torch.device("cpu")


@dataclass
class Case:
    """A model with one batch to measure on."""

    model: nn.Module
    task: Task
    batch: Batch
    parameters: str = "all"


class ImageBatches:
    """Images as they are."""

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(batch["x"])

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return classification_losses(outputs, batch)

    def views(self, batch: Batch) -> list[Batch]:
        return []


class BasicBlock(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(n_out), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
        same = stride == 1 and n_in == n_out
        shortcut = (nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        self.shortcut = nn.Identity() if same else nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(hidden + self.shortcut(x))


def resnet18() -> Case:
    torch.manual_seed(0)
    widths, layers, n_in = (64, 128, 256, 512), [], 64
    for width in widths:
        for stride in (1 if width == 64 else 2, 1):
            layers.append(BasicBlock(n_in, width, stride))
            n_in = width
    stem = (nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True))
    model = nn.Sequential(*stem, *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    batch = {"x": torch.randn(16, 3, 32, 32), "labels": torch.randint(0, 10, (16,))}
    return Case(model.eval(), ImageBatches(), batch)  # type: ignore[arg-type]


def shared_resnet() -> Case:
    from oga_core.models import load_model
    from oga_core.readers import read_samples
    from oga_core.tasks import task_for

    folder = DATA / "cifar10n"
    loaded = load_model(folder / "model_aggre.safetensors")
    samples = read_samples(folder / "images.zip", labels=folder / "labels_aggre.csv", max_samples=64)
    task = task_for(loaded.card, loaded.tokenizer)
    return Case(loaded.module.eval(), task, task.batch(samples.with_classes(loaded.card.classes), np.arange(64)))


def minilm() -> Case:
    from oga_core.models import load_model
    from oga_core.readers import read_samples
    from oga_core.tasks import task_for

    loaded = load_model(DATA / "sst2" / "model_flip20")
    samples = read_samples(DATA / "sst2" / "train_flip20.csv", max_samples=2000).with_classes(loaded.card.classes)
    task = task_for(loaded.card, loaded.tokenizer)
    order = np.argsort([len(samples.inputs[row]) for row in range(len(samples))], kind="stable")
    return Case(loaded.module.eval(), task, task.batch(samples, order[1000:1032]))


class TokenBatches(ImageBatches):
    """Next-token loss, the mean over all tokens."""

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(input_ids=batch["input_ids"], use_cache=False).logits

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        targets = batch["input_ids"][:, 1:]
        return nn.functional.cross_entropy(outputs[:, :-1].transpose(1, 2), targets, reduction="none").mean(1)


def causal_lm() -> Case:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2000,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=4,
        attn_implementation="eager",
    )
    model = get_peft_model(LlamaForCausalLM(config), LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))
    for name, p in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(p, std=0.02)
    tokens = torch.randint(0, 2000, (8, 64))
    return Case(model.eval(), TokenBatches(), {"input_ids": tokens, "labels": tokens}, "lora")  # type: ignore[arg-type]


CASES: dict[str, Callable[[], Case]] = {
    "resnet18": resnet18,
    "shared resnet": shared_resnet,
    "minilm": minilm,
    "causal lm, lora": causal_lm,
}


def ways_of(case: Case) -> dict[str, Callable[[], object]]:
    """Everything that is timed, by name; the first is the unit."""
    parameters = choose_parameters(case.model, case.parameters)

    def plain() -> None:
        case.model.zero_grad(set_to_none=True)
        case.task.losses(case.task.outputs(case.model, case.batch), case.batch).sum().backward()
        case.model.zero_grad(set_to_none=True)

    def engine(**options: Any) -> Callable[[], object]:
        chosen = PassOptions(parameters=case.parameters, **options)
        found = survey(lambda: case.task.outputs(case.model, case.batch), len(case.batch["labels"]))
        full = FullPass(case.task, case.model, chosen, HeadPass(case.task, case.model, chosen, found, CPU), parameters)
        full.check(case.batch)
        assert full.check_error < 1e-4, full.notes
        assert full.coverage == 1, full.notes
        return lambda: full(case.batch)

    ways: dict[str, Callable[[], object]] = {
        "forward and backward": plain,
        "sketch": engine(exact_l2=False),
        "sketch, l2": engine(),
        "sketch, l1, l2": engine(exact_l1=True),
        "vmap": lambda: consume(vmap_gradients(case.task, case.model, case.batch, parameters)),
        "loop": lambda: consume(loop_gradients(case.task, case.model, case.batch, parameters)),
    }
    if case.parameters == "all":
        found = survey(lambda: case.task.outputs(case.model, case.batch), len(case.batch["labels"]))
        head = HeadPass(case.task, case.model, PassOptions(), found, CPU)
        ways["head only"] = lambda: head(case.batch)
    return ways | dict(rivals(case))


def consume(parts: Iterator[object]) -> None:
    for _ in parts:
        pass


def rivals(case: Case) -> Iterator[tuple[str, Callable[[], object]]]:
    """Other libraries, where they are installed and take the model."""
    try:
        from opacus import GradSampleModule
    except ImportError:
        return
    import copy

    try:
        wrapped = GradSampleModule(copy.deepcopy(case.model), strict=False)
    except Exception as error:
        print(f"opacus does not take the model: {error}")
        return

    def opacus() -> None:
        case.task.losses(case.task.outputs(wrapped, case.batch), case.batch).sum().backward()
        for p in wrapped.parameters():
            p.grad = p.grad_sample = None

    yield "opacus", opacus


def measure(case: Case, repeats: int, only: set[str]) -> dict[str, Any]:
    ways = {
        name: way for name, way in ways_of(case).items() if not only or name in only or name == "forward and backward"
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for name in list(ways):
        try:
            ways[name]()
        except Exception as error:
            seconds.pop(name)
            ways.pop(name)
            print(f"{name} does not take the model: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.process_time()
            way()
            seconds[name].append(time.process_time() - start)
    unit = seconds["forward and backward"]
    ratios = {
        name: round(statistics.median(one / base for one, base in zip(values, unit, strict=True)), 3)
        for name, values in seconds.items()
    }
    size = sum(p.numel() for p in choose_parameters(case.model, case.parameters).values())
    return {
        "parameters": size,
        "batch": len(case.batch["labels"]),
        "unit_seconds": round(statistics.median(unit), 4),
        "ratios": ratios,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=CASES, default=None)
    parser.add_argument("--ways", default="")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    only = {name.strip() for name in options.ways.split(";") if name.strip()}
    for name, make in CASES.items():
        if options.only in (None, name):
            print(json.dumps({name: measure(make(), options.repeats, only)}, indent=1))


if __name__ == "__main__":
    main()
