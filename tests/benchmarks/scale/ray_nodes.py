"""Two nodes of a Ray cluster in one machine: speed against one local worker a core, and a node killed in the middle.

    python tests/benchmarks/scale/ray_nodes.py --rows 60000 --shards 4

Prints JSON: seconds of the passes on two local workers and on two nodes of one core each, the efficiency (their
ratio), and of a run whose node is killed after the first shard: whether its arrays equal those of the others, and how
many shards were done twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import ray
import torch
from ray.cluster_utils import Cluster

from oga_core import package_model
from oga_core.pipeline.options import ScoreOptions
from oga_core.shards.executor import LocalExecutor, ShardWork
from oga_core.shards.marker import markers
from oga_core.shards.merge import merge
from oga_core.shards.ray_executor import RayExecutor
from oga_core.shards.spread import _take_passes

FEATURES, CLASSES = 32, 4
OPTIONS = ScoreOptions(parameters="all", batch_size=256, map="none", scores=("loss",), device="cpu")


def write_table(folder: Path, n_rows: int) -> tuple[Path, Path]:
    """Write a table of Gaussians and a network whose gradients take a while."""
    torch.manual_seed(0)
    x = torch.randn(n_rows, FEATURES).numpy()
    names = [f"x{i}" for i in range(FEATURES)]
    labels = np.arange(n_rows) % CLASSES
    lines = (",".join([*(f"{value:.4f}" for value in row), str(label)]) for row, label in zip(x, labels, strict=True))
    data = folder / "table.csv"
    data.write_text("\n".join([",".join([*names, "label"]), *lines]))
    layers = [
        torch.nn.Linear(FEATURES, 512),
        *(torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(512, 512)) for _ in range(3)),
    ]
    model = torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.Linear(512, CLASSES)).eval()
    card = {"features": names, "mean": [0.0] * FEATURES, "std": [1.0] * FEATURES}
    classes = [str(i) for i in range(CLASSES)]
    package_model(model, torch.from_numpy(x[:2]), folder / "net.pt2", classes=classes, modality="tabular", input=card)
    return data, folder / "net.pt2"


def timed(work: ShardWork, executor) -> float:
    start = time.perf_counter()
    _take_passes(work, executor, lambda event: None)
    return round(time.perf_counter() - start, 1)


def digest(run: str) -> str:
    """Merge, and hash the arrays."""
    arrays = merge(run).arrays
    content = b"".join(path.read_bytes() for path in sorted(arrays.glob("*.npy")))
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def killing(cluster: Cluster, node, run: Path, killed: dict) -> None:
    """Kill a node as soon as one shard is done."""
    while not markers(run):
        time.sleep(0.2)
    killed["after"] = len(markers(run))
    cluster.remove_node(node, allow_graceful=False)
    cluster.add_node(num_cpus=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--shards", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data, model = write_table(folder, options.rows)
        works = {
            name: ShardWork(str(data), str(model), str(folder / name), OPTIONS, options.shards)
            for name in ("local", "ray", "killed")
        }
        seconds = {"local": timed(works["local"], partial(LocalExecutor, workers=2))}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        ray.init(address=cluster.address, log_to_driver=False)
        seconds["ray"] = timed(works["ray"], RayExecutor)
        killed: dict = {}
        thread = threading.Thread(target=killing, args=(cluster, nodes[0], Path(works["killed"].run), killed))
        thread.start()
        seconds["ray, a node killed"] = timed(works["killed"], RayExecutor)
        thread.join()
        ray.shutdown()
        cluster.shutdown()
        digests = {name: digest(work.run) for name, work in works.items()}
        equal = len(set(digests.values())) == 1
        result = {"rows": options.rows, "shards": options.shards, "seconds": seconds}
        result |= {"efficiency": round(seconds["local"] / seconds["ray"], 3), "equal": equal, "killed": killed}
        print(json.dumps(result, indent=1))
        assert equal


if __name__ == "__main__":
    main()
