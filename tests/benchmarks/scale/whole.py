"""What a whole `oga score` of a bundle of outputs takes: 64 features, 10 classes, a tenth of the labels wrong.

    python tests/benchmarks/scale/whole.py --rows 100000

Prints JSON: what `--plan` says, seconds of the clock and of the processors, the seconds of each stage as run.json has
them, and the most memory in MiB that the command and its worker held together (in all, and without what of the mapped
files was in memory, which the system takes back when it needs it), and what the results take: scores, which lie in
files until the table is written, and its other columns, which are part of that memory (8 bytes a number or a text).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
from stages import FEATURES, blocks_of_outputs


def write_bundle(path: Path, n_rows: int) -> None:
    """As `np.savez` writes it, with no more than a block of the features in memory."""
    logits, labels = [], []
    with zipfile.ZipFile(path, "w") as bundle:
        with bundle.open("features.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f4", "fortran_order": False, "shape": (n_rows, FEATURES)}
            )
            for some_logits, features, some_labels, _ in blocks_of_outputs(n_rows):
                file.write(features.data)
                logits.append(some_logits)
                labels.append(some_labels)
        for name, parts in (("logits", logits), ("labels", labels)):
            with bundle.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.concatenate(parts), allow_pickle=False)


def disk_mb(folder: Path) -> int:
    """MiB of the files in a folder, of which two may be names of one."""
    sizes = {(status := path.stat()).st_ino: status.st_size for path in folder.rglob("*") if path.is_file()}
    return sum(sizes.values()) >> 20


def results_mb(run: Path) -> dict[str, int]:
    """MiB of the columns of a run's table, scores and others."""
    file = pq.ParquetFile(run / "scores.parquet")
    scores = sum(name.startswith("score_") for name in file.schema_arrow.names)
    others = len(file.schema_arrow.names) - scores
    column = 8 * file.metadata.num_rows
    return {"scores": (scores * column) >> 20, "others": (others * column) >> 20}


def watched(command: list[str]) -> dict:
    """Run a command, and follow the memory and the processor's time of it and its workers."""
    start = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peaks = {"peak_mb": 0, "own_peak_mb": 0}
    seconds: dict[int, float] = {}
    while process.poll() is None:
        totals = [0, 0]
        for each in [process, *children(process)]:
            try:
                memory = each.memory_info()
                seconds[each.pid] = sum(each.cpu_times()[:2])
            except psutil.Error:
                continue
            totals = [totals[0] + memory.rss, totals[1] + memory.rss - memory.shared]
        peaks = {name: max(value, total >> 20) for (name, value), total in zip(peaks.items(), totals, strict=True)}
        time.sleep(0.05)
    assert process.returncode == 0
    clock = round(time.perf_counter() - start, 1)
    return {"clock": clock, "processor": round(sum(seconds.values()), 1), **peaks}


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch, "bundle.npz")
        run = Path(scratch, "run")
        write_bundle(bundle, rows)
        oga = [sys.executable, "-m", "oga_app.cli", "score", str(bundle), "--device", "cpu", "--json"]
        plan = subprocess.run([*oga, "--plan"], capture_output=True, text=True, check=True).stdout
        result = {"rows": rows, "planned": json.loads(plan), **watched([*oga, "--run", str(run)])}
        seconds = json.loads((run / "run.json").read_text())["seconds"]
        each = sorted(seconds.pop("each_score").items(), key=lambda item: -item[1])
        print(
            json.dumps(
                result
                | {
                    "results_mb": results_mb(run),
                    "own_apart_from_results_mb": result["own_peak_mb"] - results_mb(run)["others"],
                    "stages": seconds,
                    "dearest_scores": dict(each[:12]),
                    "disk_mb": disk_mb(run),
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
