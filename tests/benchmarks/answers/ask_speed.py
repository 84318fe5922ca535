"""How long a question takes, once the model is loaded, over rows that were scored before.

Run: python tests/benchmarks/answers/ask_speed.py [--rows 900 100000] [--whole]

A Llama of 2 M parameters with random weights and LoRA adapters; the rows' texts are those of DataInf's grammars, made
distinct by a number, and their sketches are random, as long as a run's: what they say costs no time. `--whole`: whole
gradients in place of sketches. Prints JSON: seconds of the first question, which waits for data and model, and of
others by each method, the median of five.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from small_llama import make_base, make_tokenizer, rows_of, save, with_adapter

from oga_core.ask.asker import Asker
from oga_core.ask.methods import METHODS
from oga_core.gradients.options import LANGUAGE_SKETCH_DIM
from oga_core.readers import read_samples
from oga_core.runs.folder import SCORE_PREFIX, RunFolder

QUESTIONS = 5


def make_run(folder: Path, n: int, *, whole: bool) -> RunFolder:
    """A run of `n` rows with random gradients."""
    rows = rows_of("grammars", "train")
    tokenizer = make_tokenizer([row["prompt"] + row["completion"] for row in rows])
    model = with_adapter(make_base([], tokenizer, "whole", epochs=0, seed=0), 0)
    adapter = save(model, tokenizer, folder / "adapter")
    data = folder / "rows.jsonl"
    with data.open("w") as file:
        for i in range(n):
            row = rows[i % len(rows)]
            file.write(json.dumps({**row, "id": f"r{i}", "prompt": f"{row['prompt']} {i}"}) + "\n")
    samples = read_samples(data, modality="causal_lm")
    run = RunFolder.create(folder / "run")
    run.arrays.mkdir()
    n_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    random = np.random.default_rng(0)
    np.save(run.arrays / "given_labels.npy", np.full(n, -1))
    np.save(run.arrays / "losses.npy", np.ones(n, dtype=np.float32))
    widths = {"sketch": LANGUAGE_SKETCH_DIM, **({"gradients": n_parameters} if whole else {})}
    for name, width in widths.items():
        array = np.lib.format.open_memmap(run.arrays / f"{name}.npy", mode="w+", dtype=np.float32, shape=(n, width))
        for start in range(0, n, 1000):
            array[start : start + 1000] = random.standard_normal((len(array[start : start + 1000]), width))
    table = pd.DataFrame({"sample_id": samples.ids.astype(str), "given_label": "", "predicted_label": ""})
    run.write_table(table.assign(given_label_probability=0.5, **{SCORE_PREFIX + "loss": 1.0}))
    described = {"path": str(data), "options": {"modality": "causal_lm"}, "fingerprint": samples.fingerprint}
    run.update(
        status="done", n_samples=n, classes=[], modality="causal_lm", default_score="loss", data=described,
        model={"path": str(adapter)}, options={"parameters": "auto", "seed": 0},
    )  # fmt: skip
    return run


def seconds_of(asker: Asker, method: str, number: int, *, response: bool = True) -> float:
    """Ask once about a test row."""
    row = rows_of("grammars", "test")[number]
    start = time.perf_counter()
    asker.about(row["prompt"], row["completion"] if response else None, method=method)
    return time.perf_counter() - start


def main() -> None:
    """Make the runs, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", type=int, default=[900, 100_000])
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    result = {}
    for n in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            asker = Asker(make_run(Path(folder), n, whole=options.whole))
            seconds = {"first, with loading": round(seconds_of(asker, "tracin", 0), 2)}
            for method in METHODS:
                if method == "ekfac" and not options.whole:
                    continue
                first = seconds_of(asker, method, 0)
                others = [seconds_of(asker, method, number) for number in range(1, QUESTIONS + 1)]
                seconds[f"{method}, first"] = round(first, 2)
                seconds[method] = round(statistics.median(others), 2)
            seconds["the model writes the response"] = round(seconds_of(asker, "tracin", 9, response=False), 2)
            asker.close()
        result[f"{n} rows"] = seconds
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
