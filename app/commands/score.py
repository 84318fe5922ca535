"""`oga score`: every sample of a data set, or a shard of it, into a run folder."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oga_app.background.progress import ProgressLine
from oga_app.commands.plan import show_plan
from oga_app.commands.workers import cards_of, workers_of
from oga_core.errors import OgaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from oga_core.pipeline.options import ScoreOptions
    from oga_core.runs.folder import RunFolder
    from oga_core.shards.executor import Executor, ShardWork

_SUMMARY = ["n_samples", "modality", "model_accuracy_on_given_labels", "default_score", "suggested_trim_fraction"]
_SUMMARY += ["trim_trial", "trained_input", "carried", "warnings", "seconds"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("data", metavar="DATA", help="file, folder or zip, or an address: s3://, gs://, hf://, https://")
    add("--fetch-gb", type=float, help="fetch at most so many gigabytes from an address (nine tenths of the free room)")
    add("--model", help="the trained model, or its outputs, or an address; not needed when DATA is a bundle of outputs")
    add("--run", type=Path, help="the run folder, new or to continue")
    add("--plan", action="store_true", help="print what it would take in time, memory and disk, and score nothing")
    add("--labels", help="CSV of the images' labels")
    add("--label-column", help="column of the given labels")
    add("--id-column", help="column of the ids")
    add("--text-column", help="column of the texts")
    add("--modality", help="image, text, tabular, causal_lm or preference, where the data could be read in two ways")
    add("--model-card", help="JSON that names classes and inputs, where none lies beside the model")
    add("--model-factory", help="module:function of yours that builds the network which plain weights belong to")
    add("--scores", type=_names, default=(), help="scores to compute, separated by commas (all that are possible)")
    add("--map", default="umap", help="umap, pca or none (umap)")
    add("--validation", help="clean data that validation-based influence is measured on")
    add("--reference", help="model that preference pairs are measured against (the base, its adapter switched off)")
    add("--checkpoints", type=_names, default=(), help="files of weights from earlier in training, oldest first")
    add("--parameters", default="auto", help="whose gradients: head, all, last:N, lora or pattern:REGEX (auto)")
    add("--trained-on", help="of language-model rows: assistant, last, completion or all (as the rows are)")
    add("--sketch-dim", type=int, help="numbers kept of each gradient (512; 4,096 for language models)")
    add("--seed", type=int, default=0, help="seed of everything random (0)")
    add("--device", default="auto", help="cpu, cuda (all cards), cuda:0, mps or auto (auto)")
    add("--precision", default="float32", help="float32, tf32 (of cards), bfloat16 or float16 (float32)")
    add("--batch-size", type=int, help="samples a batch (found from memory)")
    add("--max-samples", type=int, help="score at most this many samples, spread evenly")
    add(
        "--previous", type=Path, help="an earlier run: its options where none are given, and its decisions carried over"
    )
    add("--only-decisions", action="store_true", help="with --previous: take its decisions, and none of its options")
    add("--overwrite", action="store_true", help="remove the run of other data in the run folder, and its decisions")
    add("--force", action="store_true", help="score even where the classes seem to be in another order")
    add("--shard", help="take the gradients of one part only, as 3/16; oga merge joins them")
    add("--on", choices=("local", "ray"), help="take them in shards at once: on this machine, or on a Ray cluster")
    add("--workers", type=int, help="with --on: shards at once (one a card or core of this machine or the cluster)")
    add("--shards", type=int, help="with --on: how many shards (four a worker)")


def score(options: argparse.Namespace) -> dict[str, Any]:
    """Score, and return the summary for a person."""
    choices = _fetched(options)
    if options.plan:
        return show_plan(options, choices)
    if options.run is None:
        raise OgaError("Give the run folder with --run FOLDER, new or to continue; --plan alone needs none.")
    if options.shard:
        return _score_shard(options, choices)
    cards = cards_of(options)
    if options.on or len(cards) > 1:
        return _score_in_shards(options, choices, cards)
    if options.workers or options.shards:
        raise OgaError("--workers and --shards are for --on local and --on ray.")
    return _score_whole(options, choices)


def _fetched(options: argparse.Namespace) -> ScoreOptions:
    """Fetch what lies at addresses, put the paths of the copies in their place, and return the choices with them."""
    from oga_core.models.folders import is_model_file
    from oga_core.remote.fetching import local

    progress = ProgressLine()
    most = None if options.fetch_gb is None else int(1e9 * options.fetch_gb)
    fetch = partial(local, run=options.run, progress=progress, most_bytes=most)
    fetch_model = partial(fetch, wanted=is_model_file, with_card=True)
    options.data = fetch(options.data)
    options.model = None if options.model is None else fetch_model(options.model)
    choices = score_options(options).with_files(fetch, fetch_model)
    progress.close()
    return choices


def _score_whole(options: argparse.Namespace, choices: ScoreOptions) -> dict[str, Any]:
    from oga_core.pipeline.score import score

    progress = ProgressLine(options.run / "progress.json")
    more = {"overwrite": options.overwrite, "previous": options.previous}
    run = score(options.data, options.model, options.run, choices, progress, **more)
    progress.close()
    return summary(run)


def _score_shard(options: argparse.Namespace, choices: ScoreOptions) -> dict[str, Any]:
    from oga_core.gradients.batches import Shard
    from oga_core.shards.scoring import score_shard

    shard = Shard.named(options.shard)
    if options.overwrite:
        raise OgaError("A shard replaces no run of other data. Remove the run folder first, or give another.")
    progress = ProgressLine()
    marker = score_shard(options.data, options.model, options.run, choices, shard, progress)
    progress.close()
    return {"shard": str(shard), "marker": str(marker)}


def _score_in_shards(options: argparse.Namespace, choices: ScoreOptions, cards: list[str]) -> dict[str, Any]:
    from oga_core.shards.executor import LocalExecutor
    from oga_core.shards.merge import merge
    from oga_core.shards.ray_executor import RayExecutor
    from oga_core.shards.spread import take_shards

    if options.overwrite:
        raise OgaError("Shards replace no run of other data. Remove the run folder first, or give another.")
    for name in ("workers", "shards"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise OgaError(f"--{name} must be 1 or more, got {getattr(options, name)}.")
    workers = workers_of(options)
    executor: Callable[[ShardWork], Executor] = RayExecutor
    if options.on != "ray":
        executor = partial(LocalExecutor, workers=workers, devices=cards)
    progress = ProgressLine()  # the folder is no run before it is merged
    work = (options.data, options.model, options.run, choices)
    take_shards(*work, executor, progress, workers=workers, count=options.shards)
    run = merge(options.run, progress, previous=options.previous)
    progress.close()
    return summary(run)


def score_options(options: argparse.Namespace) -> ScoreOptions:
    """Return what the person chose, with the choices of an earlier run where one is given, and more than decisions."""
    from oga_core.pipeline.options import ScoreOptions
    from oga_core.runs.folder import RunFolder

    choices = ScoreOptions(**{field.name: getattr(options, field.name) for field in fields(ScoreOptions)})
    if options.previous and not options.only_decisions:
        return choices.after(RunFolder.open(options.previous).info.options)
    return choices


def summary(run: RunFolder) -> dict[str, Any]:
    """Return what a person wants to know of a scored run; what the jail lacked is said on standard error."""
    for sentence in run.info.jail.get("missing", ()):
        print(f"oga: Warning: {sentence}", file=sys.stderr)
    record = run.info.as_json()
    return {"run": str(run.path), **{name: record[name] for name in _SUMMARY}}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
