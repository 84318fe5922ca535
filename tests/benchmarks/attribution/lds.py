"""How well influence tells what retraining on parts of the data does to the loss of single queries; prints JSON.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/attribution/lds.py [--subsets N] [--sketches D,…] [--exact] [--seed N]

The linear datamodelling score (Park et al. 2023, arXiv 2303.14186) in the setting in which dattri publishes it: an MLP
784-128-64-10, 5,000 digits to train on and 500 to ask about, halves of the data, one model. The digits are
scikit-learn's, each turned, moved and scaled a little onto 28 x 28 pixels; those asked about are of rows that are not
trained on. Published for MNIST: TRAK with one model 0.11, with fifty 0.45, conjugate gradients 0.26. Every score is the
mean rank correlation over the queries, with its standard error. All networks start from the same weights, or chance in
the start would hide what the samples do. A third of the subsets is trained on from another start too: the rank
correlation of the two, whose root is about what the best of all methods could reach, says how much chance is left.
`--exact` takes whole gradients, without a sketch, by products between samples.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import oga_core as oga
from oga_core.gradient_sketch import GradientSketch
from oga_core.models.architectures import MLP
from oga_core.scores.estimators.curvature import Gradients, damped, sketch_gradients
from oga_core.scores.estimators.inverse import second_moment
from oga_core.scores.influence import sketched

N_TRAIN, N_QUERIES, SIDE = 5000, 500, 28
EPOCHS, BATCH, RATE = 15, 64, 0.05
DAMPINGS = (0.01, 0.1, 1.0)
"""Multiples of the mean eigenvalue; the product's own is 0.1."""
Floats = NDArray[np.floating[Any]]


def digits(rows: NDArray[np.int64], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Images `(count, 784)` from 0 to 1 and their digits, drawn from some rows of scikit-learn's table."""
    from scipy.ndimage import affine_transform
    from sklearn.datasets import load_digits

    bunch = load_digits()
    chosen = rng.choice(rows, count)
    images = np.empty((count, SIDE, SIDE), dtype=np.float32)
    for number, row in enumerate(chosen):
        angle, scale = rng.normal(0, 0.15), 8 / SIDE * np.exp(rng.normal(0, 0.1))
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = (SIDE - 1) / 2 + rng.normal(0, 1, 2)
        images[number] = affine_transform(
            bunch.images[row] / 16, turn, offset=3.5 - turn @ middle, output_shape=(SIDE,) * 2, order=1
        )
    return torch.from_numpy(images.reshape(count, -1)), torch.from_numpy(bunch.target[chosen].astype(np.int64))


def trained(x: Tensor, y: Tensor, seed: int) -> nn.Module:
    """The network after SGD with momentum."""
    torch.manual_seed(seed)
    model = MLP([SIDE * SIDE, 128, 64, 10])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model


@torch.no_grad()
def losses(model: nn.Module, x: Tensor, y: Tensor) -> Floats:
    """`(n_queries,)`."""
    return nn.functional.cross_entropy(model(x), y, reduction="none").numpy()


def by_gradients(train: GradientSketch, queries: GradientSketch) -> Iterator[tuple[str, Floats]]:
    """What each sample does for each query, by sketches, `(n_queries, n_samples)`; more is more helpful."""
    g, q = sketch_gradients(train), sketch_gradients(queries)
    yield "tracin", q.right @ g.right.T
    for damping in DAMPINGS:
        yield f"fisher_{damping:g}", _solved(g, q, damping)
    (phi, errors), (asked, _) = sketched._margin_sketch(train), sketched._margin_sketch(queries)
    yield "trak", _solved(phi, asked, 1e-2) * errors
    inverse = sketched._pseudoinverse(phi)
    yield "trak_undamped", (asked.left * asked.right) @ inverse @ (phi.left * phi.right).T * errors


def _solved(g: Gradients, q: Gradients, damping: float) -> Floats:
    matrix = damped(second_moment(g), damping).astype(np.float64)
    return np.linalg.solve(matrix, (q.left * q.right).T).T @ (g.left * g.right).T


def margins(model: nn.Module, x: Tensor, y: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Floats]:
    """Of each layer its inputs and the gradient of log(p / (1 - p)) at its outputs, a row a sample; and 1 - p."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((inputs[0], output))

    handles = [layer.register_forward_hook(keep) for layer in layers]
    logits = model(x)
    for handle in handles:
        handle.remove()
    own = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf).logsumexp(dim=1)
    slopes = torch.autograd.grad((own - others).sum(), [output for _, output in seen])
    inputs = [part.detach() for part, _ in seen]
    return list(zip(inputs, slopes, strict=True)), torch.sigmoid(others - own).detach().numpy()


def products(left: list[tuple[Tensor, Tensor]], right: list[tuple[Tensor, Tensor]]) -> Floats:
    """Products of whole gradients, weights and biases of all layers, `(n_left, n_right)`."""
    pairs = zip(left, right, strict=True)
    return sum(((a @ b.T + 1) * (s @ t.T) for (a, s), (b, t) in pairs), torch.zeros(())).numpy()


def by_products(model: nn.Module, data: tuple[Tensor, Tensor], asked: Any) -> Iterator[tuple[str, Floats]]:
    """What each sample does for each query by whole gradients: TracIn, TRAK, and the damped Gauss-Newton matrix."""
    from scipy.linalg import solve

    phi, errors = margins(model, *data)
    queries, _ = margins(model, *asked)
    among = products(phi, phi)
    toward = products(queries, phi)
    weights = np.sqrt(np.maximum(errors * (1 - errors), 1e-12))
    weighted = weights[:, None] * among * weights
    yield "tracin", toward * errors
    for damping in DAMPINGS:
        matrix = among + damping * np.diag(among).mean() * np.eye(len(among), dtype=among.dtype)
        yield f"trak_{damping:g}", solve(matrix, toward.T, assume_a="pos").T * errors
        matrix = weighted + damping * np.diag(weighted).mean() * np.eye(len(among), dtype=among.dtype)
        solved = solve(matrix, (toward * weights).T, assume_a="pos").T
        yield f"gauss_newton_{damping:g}", (toward - (solved * weights) @ among) * errors


def score(influence: Floats, members: NDArray[np.bool_], after: Floats) -> dict[str, float]:
    """Mean over the queries of the rank correlation between what is summed over a subset and the fall of the loss."""
    told = influence @ members.T  # (n_queries, n_subsets)
    return rank_correlation(told.T, -after)


def rank_correlation(left: Floats, right: Floats) -> dict[str, float]:
    """Mean over the columns, `(n_subsets, n_queries)`, of Spearman's correlation, with its standard error."""
    from scipy.stats import spearmanr

    each = np.array([spearmanr(a, b).statistic for a, b in zip(left.T, right.T, strict=True)])
    return {"lds": round(float(each.mean()), 3), "standard_error": round(float(each.std() / np.sqrt(len(each))), 3)}


def main() -> None:
    """Train one model and those of the subsets, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subsets", type=int, default=60)
    parser.add_argument("--sketches", default="256,512,1024,2048,4096", help="lengths of the sketch")
    parser.add_argument("--exact", action="store_true", help="also whole gradients, without a sketch")
    parser.add_argument("--mirrored", action="store_true", help="also mirrored influence with the whole model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, start = np.random.default_rng(options.seed), time.process_time()
    rows = rng.permutation(1797)
    x, y = digits(rows[:1400], N_TRAIN, rng)
    asked = digits(rows[1400:], N_QUERIES, rng)
    model = trained(x, y, options.seed)
    members = np.stack([rng.permutation(N_TRAIN) < N_TRAIN // 2 for _ in range(options.subsets)])
    after = np.stack([losses(trained(x[part], y[part], options.seed), *asked) for part in members])
    third = members[: max(len(members) // 3, 2)]
    again = np.stack([losses(trained(x[part], y[part], options.seed + 1), *asked) for part in third])
    facts: dict[str, Any] = {
        "between_two_starts": rank_correlation(again, after[: len(third)]),
        "accuracy": round(float((model(asked[0]).argmax(1) == asked[1]).float().mean()), 4),
        "mean_loss": round(float(losses(model, *asked).mean()), 3),
        "subsets": options.subsets,
        "training_cpu_seconds": round(time.process_time() - start, 1),
    }
    results: dict[str, dict[str, Any]] = {}
    for size in map(int, options.sketches.split(",")):
        begin = time.process_time()
        sketches = [oga.per_sample_gradients(model, data, sketch_dim=size, seed=0) for data in ((x, y), asked)]
        results[f"sketch_{size}"] = {name: score(v, members, after) for name, v in by_gradients(*sketches)}
        results[f"sketch_{size}"]["cpu_seconds"] = round(time.process_time() - begin, 1)
    if options.exact:
        results["exact"] = {name: score(v, members, after) for name, v in by_products(model, (x, y), asked)}
    if options.mirrored:
        results["whole_model"] = whole(model, (x, y), asked, lambda v: score(v, members, after))
    print(json.dumps({**facts, **results}, indent=1))


def whole(model: nn.Module, data: Any, asked: Any, judged: Callable[[Floats], dict[str, float]]) -> dict[str, Any]:
    """Mirrored influence as published, which has no sign: how much a sample matters, for or against."""
    begin = time.process_time()
    changes = oga.mirrored_influence(model, data, asked, batch_size=N_TRAIN)
    return {"mirrored": judged(changes), "cpu_seconds": round(time.process_time() - begin, 1)}


if __name__ == "__main__":
    main()
