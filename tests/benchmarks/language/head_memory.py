"""Peak memory of a pass over rows of a language model with a large vocabulary; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/language/head_memory.py [--vocabulary N] [--batch N] [--tokens N]

A Llama of two narrow layers, so that nearly all memory is that of the logits and of the gradient of the layer that
makes them. Gradients of all parameters and of those of attention alone, with logits made a few at a time as in any run,
and with those of the whole batch held at once. Each in a process of its own, of one thread: megabytes of its own
(anonymous) memory above those before the pass, and seconds of processor time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oga_core.gradients import forward as forwards
from oga_core.gradients.options import PassOptions
from oga_core.gradients.passes import gradient_pass
from oga_core.models.card import ModelCard
from oga_core.readers import read_samples
from oga_core.samples import SampleSet
from oga_core.tasks import task_for

WIDTH, LAYERS, HEADS = 64, 2, 4
CHOICES = {"all": "all", "attention": r"pattern:(q|v)_proj\.weight"}
BATCHES = 2


def make_tokenizer(vocabulary: int) -> Any:
    """Every word is a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="w0", eos_token="w1")


def make_samples(vocabulary: int, batch: int, tokens: int, folder: Path) -> SampleSet:
    """Rows of random words, half of them prompt."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(2, vocabulary, (BATCHES * batch, 2, tokens // 2))
    halves = [[" ".join(f"w{i}" for i in part) for part in row] for row in drawn]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": one, "completion": f" {other}"}) for one, other in halves))
    return read_samples(path)


def make_model(vocabulary: int, tokens: int) -> Any:
    """A small Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS}
    config = LlamaConfig(vocab_size=vocabulary, num_attention_heads=HEADS, max_position_embeddings=2 * tokens, **sizes)
    return LlamaForCausalLM(config).eval()


def own_megabytes() -> float:
    """Anonymous memory of this process now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One pass, watched every 5 ms."""
    torch.set_num_threads(1)
    if options.at_once:
        forwards.output_layer = lambda model: None
    task = task_for(ModelCard("causal_lm", (), {"max_length": options.tokens + 1}), make_tokenizer(options.vocabulary))
    model = make_model(options.vocabulary, options.tokens)
    with tempfile.TemporaryDirectory() as folder:
        samples = make_samples(options.vocabulary, options.batch, options.tokens, Path(folder))
        before = peak = own_megabytes()
        running = True

        def watch() -> None:
            nonlocal peak
            while running:
                peak = max(peak, own_megabytes())
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.process_time()
        chosen = PassOptions(CHOICES[options.one], batch_size=options.batch, device="cpu")
        result = gradient_pass(task, model, samples, folder=Path(folder) / "arrays", options=chosen)
        seconds = time.process_time() - start
        running = False
        watcher.join()
    assert result.sketch.coverage == 1, result.notes
    facts = {"peak_mb": round(peak - before), "cpu_seconds": round(seconds, 1), "notes": result.notes}
    return facts | {"mean_norm": round(float(result.sketch.l2_norm_all.mean()), 6)}


def main() -> None:
    """Measure each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=128_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--one", choices=list(CHOICES))
    parser.add_argument("--at-once", action="store_true")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
        return
    results = {}
    for choice, at_once in product(CHOICES, (False, True)):
        flags = ["--one", choice, *(["--at-once"] if at_once else [])]
        output = subprocess.check_output([sys.executable, *sys.argv, *flags])
        results[f"{choice}, {'at once' if at_once else 'a few at a time'}"] = json.loads(output.splitlines()[-1])
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
