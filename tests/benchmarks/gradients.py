"""Cost of per-sample gradients of all parameters, as multiples of one plain forward and backward pass, as JSON.

One process, one thread, interleaved repeats, medians of ratios within a repeat; what takes long is repeated less.
Other libraries (`gradient_rivals.py`) are measured where they are installed and take the model, with the share of the
parameters that they cover. Peak memory for 1,000 and 10,000 samples: `engine_memory.py`.

    OMP_NUM_THREADS=1 python tests/benchmarks/gradients.py [--only CASE] [--repeats N] [--methods "NAME;NAME"]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gradient_rivals import RIVALS
from made_sets import ArrayTask
from torch import Tensor, nn

from oga_core.gradients.head_pass import HeadPass
from oga_core.gradients.hooks.forward_capture import survey
from oga_core.gradients.methods.oracle import loop_gradients, vmap_gradients
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.passes import full_pass
from oga_core.models.architectures import ResNet18
from oga_core.tasks import Batch, Task

DATA = Path(os.environ.get("OGA_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CPU = torch.device("cpu")
UNIT = "forward and backward"
ENOUGH_SECONDS = 30  # a method that has taken longer is not repeated any more


@dataclass
class Case:
    """A model with one batch to measure on."""

    model: nn.Module
    task: Task
    batch: Batch
    parameters: str = "all"


def resnet18() -> Case:
    torch.manual_seed(0)
    model = ResNet18(channels=3, n_classes=10, stem=3)
    batch = {"x": torch.randn(16, 3, 32, 32), "labels": torch.randint(0, 10, (16,))}
    return Case(model.eval(), ArrayTask(), batch)


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


class TokenBatches(ArrayTask):
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
    return Case(model.eval(), TokenBatches(), {"input_ids": tokens, "labels": tokens}, "lora")


class LastState(nn.Module):
    """Embedded tokens, 128 numbers each, through a recurrent layer with 256; its last output is classified."""

    def __init__(self, kind: type[nn.RNNBase], *, bidirectional: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(2000, 128)
        self.layer = kind(128, 256, batch_first=True, bidirectional=bidirectional)
        self.head = nn.LazyLinear(4)
        self(torch.zeros(1, 1, dtype=torch.int64))

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layer(self.embedding(tokens))[0][:, -1])
        return logits


def _texts(model: nn.Module, n: int) -> Case:
    batch = {"x": torch.randint(0, 2000, (n, 64)), "labels": torch.randint(0, 4, (n,))}
    return Case(model.eval(), ArrayTask(), batch)


class Logits(nn.Module):
    """A model of transformers as a function of its tokens."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.inner(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
        return logits


def deberta() -> Case:
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    torch.manual_seed(0)
    config = DebertaV2Config(
        vocab_size=2000, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
        max_position_embeddings=128, relative_attention=True, position_buckets=32, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type=["p2c", "c2p"], num_labels=4, attn_implementation="eager",
    )  # fmt: skip
    return _texts(Logits(DebertaV2ForSequenceClassification(config)), 16)


CASES: dict[str, Callable[[], Case]] = {
    "resnet18": resnet18,
    "lstm": lambda: _texts(LastState(nn.LSTM), 32),
    "lstm, both ways": lambda: _texts(LastState(nn.LSTM, bidirectional=True), 32),
    "gru": lambda: _texts(LastState(nn.GRU), 32),
    "deberta-v2": deberta,
    "shared resnet": shared_resnet,
    "minilm": minilm,
    "causal lm, lora": causal_lm,
}


def own_methods(case: Case) -> dict[str, Callable[[], object]]:
    """What needs no other library, by name."""
    parameters = choose_parameters(case.model, case.parameters)
    seen = survey(lambda: case.task.outputs(case.model, case.batch), len(case.batch["labels"]))

    def plain() -> None:
        case.model.zero_grad(set_to_none=True)
        case.task.losses(case.task.outputs(case.model, case.batch), case.batch).sum().backward()
        case.model.zero_grad(set_to_none=True)

    def engine(**options: Any) -> Callable[[], object]:
        pass_options = PassOptions(parameters=case.parameters, **options)
        head = HeadPass(case.task, case.model, pass_options, seen, CPU)
        full = full_pass(case.task, case.model, pass_options, head, parameters, case.batch, CPU)
        assert full.check_error < 1e-4, full.notes
        assert full.coverage == 1, full.notes
        return lambda: full(case.batch)

    methods: dict[str, Callable[[], object]] = {
        UNIT: plain,
        "sketch": engine(exact_l2=False),
        "sketch, l2": engine(),
        "sketch, l1, l2": engine(exact_l1=True),
        "vmap": lambda: consume(vmap_gradients(case.task, case.model, case.batch, parameters)),
        "loop": lambda: consume(loop_gradients(case.task, case.model, case.batch, parameters)),
    }
    if case.parameters == "all":
        head = HeadPass(case.task, case.model, PassOptions(), seen, CPU)
        methods["head only"] = lambda: head(case.batch)
    return methods


def consume(parts: Iterator[object]) -> None:
    for _ in parts:
        pass


def rival_methods(case: Case, only: set[str]) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """What other libraries take, by name, and the share of the parameters that each covers."""
    methods = {}
    coverage = {}
    for name, build in RIVALS.items():
        if only and name not in only:
            continue
        try:
            rival = build(case)
        except ModuleNotFoundError as error:
            print(f"{name}: {error}", file=sys.stderr)
        except Exception as error:
            refused(name, error)
        else:
            methods[name], coverage[name] = rival.run, round(rival.coverage, 4)
    return methods, coverage


def refused(name: str, error: Exception) -> None:
    message = (str(error).splitlines() or [""])[0][:200]
    print(f"{name} does not take the model: {type(error).__name__}: {message}", file=sys.stderr)


def measure(case: Case, repeats: int, only: set[str]) -> dict[str, Any]:
    methods = {name: method for name, method in own_methods(case).items() if not only or name in only | {UNIT}}
    others, coverage = rival_methods(case, only)
    seconds: dict[str, list[float]] = {}
    for name, method in (methods | others).items():
        try:
            method()
            seconds[name] = []
        except Exception as error:
            refused(name, error)
            others.pop(name, None)
            coverage.pop(name, None)
    methods = {name: method for name, method in (methods | others).items() if name in seconds}
    for _ in range(repeats):
        for name, method in methods.items():
            if sum(seconds[name]) < ENOUGH_SECONDS:
                start = time.process_time()
                method()
                seconds[name].append(time.process_time() - start)
    unit = seconds[UNIT]
    return {
        "parameters": sum(p.numel() for p in choose_parameters(case.model, case.parameters).values()),
        "batch": len(case.batch["labels"]),
        "unit_seconds": round(statistics.median(unit), 4),
        "ratios": {
            name: round(statistics.median(one / base for one, base in zip(values, unit, strict=False)), 3)
            for name, values in seconds.items()
        },
        "coverage": coverage,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES, default=None)
    parser.add_argument("--methods", default="")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    only = {name.strip() for name in options.methods.split(";") if name.strip()}
    results = {}
    with contextlib.redirect_stdout(sys.stderr):  # other libraries talk
        for name, make in CASES.items():
            if options.only in (None, name):
                results[name] = measure(make(), options.repeats, only)
                gc.collect()
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
