"""The worker's part of a verification: train every arm with every seed and judge each on data that is never cleaned."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oga_core.ask.desk import Asked, Desk
from oga_core.ask.model import QueryModel
from oga_core.errors import OgaError
from oga_core.gradients.devices import choose_device
from oga_core.models.card import ModelCard
from oga_core.retrain.adapters import AdapterTraining
from oga_core.retrain.arms import HELD_OUT_SHARE, Arm, Labels, Plan, stratified_split
from oga_core.retrain.inputs import CachedInputs, Inputs
from oga_core.retrain.removal import MOST_QUERIES, removal_curve, removal_trials, trainings
from oga_core.retrain.targets import HeadErrors, NetworkErrors
from oga_core.retrain.training import (
    choose_penalty,
    fit_head,
    head_logits,
    labelled,
    network_logits,
    recipe_for,
    restart_adapters,
    train_network,
)
from oga_core.retrain.trials import Trial, classified, spoken
from oga_core.runs.folder import RunFolder
from oga_core.runs.pixels import RunPixels
from oga_core.tasks.losses import Loss
from oga_core.worker.stages import Progress

Judge = Callable[[Arm, int], "tuple[NDArray[np.float32], NDArray[np.int64]]"]
ErrorJudge = Callable[..., NDArray[np.float64]]
DRAWN_SHARE = 0.9
WHOLE_RATE = 2e-5
"""Of a language model that has no adapter: it is all there, and should not forget."""
INNER_SHARE = 0.2


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return, for every seed and arm, accuracy, loss and paired comparison with the unchanged arm.

    arguments: run, plan (fields of `Plan`), labels (given: class indices, numbers or
    lists), n_classes, measure (what is
    judged by where it is not accuracy, else None), depth, seeds, validation (path or None), device, epochs (None for
    the recipe's), question (of a language model: what `Desk.asked` takes, or None), finished (trials of the same
    comparison, which was cut off).
    """
    experiment = _Experiment(arguments, np.array(arguments["labels"]), progress)
    seeds = range(arguments["seeds"])
    if arguments.get("measure"):
        return experiment.errors()
    if not experiment.n_classes:
        return experiment.language()
    trainer = experiment.heads if arguments["depth"] == "head" else experiment.networks
    with trainer() as (judge, details):
        trials = [trial for seed in seeds for trial in experiment.trials(judge, seed)]
        curve = [point for seed in seeds for point in experiment.curve(judge, seed)]
        return {"trials": trials, "curve_trials": curve, **details}


class _Experiment:
    """One verification: splits, arms and the reading of data and model."""

    def __init__(self, arguments: dict[str, Any], labels: Labels, progress: Progress):
        self.arguments = arguments
        self.labels = labels
        self.strata = labels if labels.dtype.kind == "i" else np.zeros(len(labels), dtype=np.int64)
        self.progress = progress
        self.run = RunFolder.open(Path(arguments["run"]))
        self.inputs = Inputs(self.run, arguments, progress)
        self.plan = Plan(**arguments["plan"])
        self.n_classes = int(arguments["n_classes"])
        self.finished = {(trial["arm"], trial["seed"]): trial for trial in arguments.get("finished", ())}
        self.done = 0
        self.total = 1
        self.start = time.perf_counter()

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to train on, and held-out rows to judge on (none with validation data, where a draw stands in)."""
        if self.arguments["validation"] is None:
            return stratified_split(self.strata, HELD_OUT_SHARE, seed)
        share = 1 - DRAWN_SHARE if self.arguments["depth"] == "head" else 0.0
        return stratified_split(self.strata, share, seed)[0], np.empty(0, dtype=np.int64)

    def arms(self, seed: int) -> list[Arm]:
        """The arms of one seed."""
        return self.plan.arms(self.split(seed)[0], self.labels, seed)

    def trials(self, judge: Judge, seed: int) -> Iterator[Trial]:
        """Train and judge every arm of one seed, but those that were trained before the comparison was cut off."""
        unchanged: Trial = {}
        for arm in self.arms(seed):
            if len(np.unique(arm.labels)) < 2:
                raise OgaError(
                    f"The training set {arm.name!r} has samples of only one class left. Choose a smaller trim fraction."
                )
            trial = self.finished.get((arm.name, seed)) or self.said(
                classified(arm, seed, *judge(arm, seed), n_classes=self.n_classes, unchanged=unchanged)
            )
            unchanged = unchanged or trial
            yield trial

    def curve(self, judge: Judge, seed: int) -> Iterator[Trial]:
        """Trim other shares than the flagged one, and judge each."""
        for count, kind, arm in self.plan.along_the_curve(self.split(seed)[0], self.labels):
            if len(np.unique(arm.labels)) < 2:
                return  # what is left of the curve has nothing to tell apart
            trial = self.finished.get((arm.name, seed))
            if trial is None:
                logits, truth = judge(arm, seed)
                accuracy = float((logits.argmax(axis=1) == truth).mean())
                trial = self.said({"arm": arm.name, "seed": seed, "kind": kind, "count": count, "accuracy": accuracy})
            yield trial

    def said(self, trial: Trial) -> Trial:
        """The trial, which the parent has been told of."""
        self.progress({"stage": "retraining", "trial": trial})
        return trial

    def left(self) -> Iterator[Arm]:
        """The trainings that are still to be done, of all seeds."""
        for seed in range(self.arguments["seeds"]):
            along = (arm for _, _, arm in self.plan.along_the_curve(self.split(seed)[0], self.labels))
            yield from (arm for arm in (*self.arms(seed), *along) if (arm.name, seed) not in self.finished)

    def language(self) -> dict[str, Any]:
        """Train a language model on every arm with every seed, and without the rows that pushed for a response."""
        training, seeds = self._adapters(), self.arguments["seeds"]
        asked = self._asked()
        n_rows = sum(len(arm.rows) for arm in self.left())
        n_rows += 0 if asked is None else seeds * trainings(len(asked.samples)) * len(training.samples)
        self._expect(n_rows * training.recipe.epochs)
        result: dict[str, Any] = {"trials": [trial for seed in range(seeds) for trial in self._losses(training, seed)]}
        if asked is not None:
            trials = list(removal_trials(training, asked.rankings, asked.samples, seeds))
            result["removal"] = {**removal_curve(trials, asked.method), "queries": asked.queries, "trials": trials}
        return {**result, **training.described}

    def _losses(self, training: AdapterTraining, seed: int) -> Iterator[Trial]:
        """Train on every arm of one seed, and compare the losses of the same responses."""
        judged = self.inputs.validation() if self.arguments["validation"] is not None else None
        judged = training.samples.take(self.split(seed)[1]) if judged is None else judged
        yield from self._compared(seed, lambda arm: training.losses(training.trained(seed, arm.rows), judged))

    def _compared(self, seed: int, losses: Callable[[Arm], NDArray[np.float64]]) -> Iterator[Trial]:
        """Every arm of one seed, judged by the losses or errors of the same rows."""
        unchanged: Trial = {}
        for arm in self.arms(seed):
            trial = self.finished.get((arm.name, seed)) or self.said(
                spoken(arm, seed, losses(arm), unchanged=unchanged)
            )
            unchanged = unchanged or trial
            yield trial

    def errors(self) -> dict[str, Any]:
        """Train on every arm with every seed and judge by errors of numbers, or losses of lists or of one's own."""
        judge, details = self._head_errors() if self.arguments["depth"] == "head" else self._network_errors()
        seeds = range(self.arguments["seeds"])
        trials = [trial for seed in seeds for trial in self._compared(seed, partial(judge, seed=seed))]
        return {"trials": trials, **details}

    def _head_errors(self) -> tuple[ErrorJudge, dict[str, Any]]:
        info = self.run.info
        loss = Loss.from_card(ModelCard("outputs", (), loss=info.loss))
        features, outside = self.inputs.features()
        training = self.split(0)[0]
        inner = stratified_split(self.strata[training], INNER_SHARE, 0)[1]
        targets = torch.from_numpy(self.labels.astype(np.float32))
        heads = HeadErrors.of(loss, features, targets, training, inner, outside)
        self._expect(sum(1 for _ in self.left()))

        def judge(arm: Arm, seed: int) -> NDArray[np.float64]:
            self._advance(1)
            return heads(arm, self.split(seed)[1])

        return judge, {"start": "frozen features", "penalty": heads.penalty}

    def _network_errors(self) -> tuple[ErrorJudge, dict[str, Any]]:
        model, task, card = self.inputs.model()
        samples = self.run.samples
        samples = replace(samples, inputs=CachedInputs(samples.inputs))
        judged = self.inputs.validation() if self.arguments["validation"] is not None else None
        recipe = recipe_for(card.modality, len(samples))
        recipe = replace(recipe, epochs=self.arguments["epochs"] or recipe.epochs)
        device = choose_device(self.arguments["device"])
        self._expect(sum(len(arm.rows) for arm in self.left()) * recipe.epochs)
        pixels = None if samples.masks is None else RunPixels(self.run)
        networks = NetworkErrors(model, task, samples, recipe, device, judged, self._advance, pixels)
        return lambda arm, seed: networks(arm, self.split(seed)[1], seed), recipe.described

    def _asked(self) -> Asked | None:
        if self.arguments["question"] is None:
            return None
        self.progress({"stage": "asking which rows pushed for the response"})
        asked = Desk(self.run, QueryModel, self.progress).ranked(self.arguments["question"])
        if len(asked.samples) > MOST_QUERIES:
            raise OgaError(f"At most {MOST_QUERIES} responses can be followed, and the file has {len(asked.samples)}.")
        return asked

    def _adapters(self) -> AdapterTraining:
        """What a language model trains: new adapters on its base, or the model itself where it has none."""
        model, task, card = self.inputs.model()
        samples = self.run.samples
        recipe = recipe_for(card.modality, len(samples))
        has_adapters = restart_adapters(model)
        if not has_adapters:
            recipe = replace(recipe, learning_rate=WHOLE_RATE)
        recipe = replace(recipe, epochs=self.arguments["epochs"] or recipe.epochs)
        device = choose_device(self.arguments["device"])
        return AdapterTraining(model, task, samples, recipe, device, has_adapters, self._advance)

    @contextmanager
    def heads(self) -> Iterator[tuple[Judge, dict[str, Any]]]:
        """Heads on the run's frozen features."""
        features, outside = self.inputs.features()
        self._expect(sum(1 for _ in self.left()))
        training = self.split(0)[0]
        inner = stratified_split(self.labels[training], INNER_SHARE, 0)[1]
        targets = torch.from_numpy(self.labels[training])
        penalty = choose_penalty(features[torch.from_numpy(training)], targets, self.n_classes, inner)

        def judge(arm: Arm, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            rows = torch.from_numpy(arm.rows)
            head = fit_head(features[rows], torch.from_numpy(arm.labels), self.n_classes, penalty)
            self._advance(1)
            if outside is not None:
                return head_logits(outside[0], head).numpy(), outside[1].numpy()
            held_out = self.split(seed)[1]
            return head_logits(features[torch.from_numpy(held_out)], head).numpy(), self.labels[held_out]

        yield judge, {"start": "frozen features", "penalty": penalty}

    @contextmanager
    def networks(self) -> Iterator[tuple[Judge, dict[str, Any]]]:
        """The whole network, from random weights where its kind allows."""
        device = choose_device(self.arguments["device"])
        model, task, card = self.inputs.model()
        samples = self.run.samples
        samples = replace(samples, inputs=CachedInputs(samples.inputs))
        validation = self.inputs.validation() if self.arguments["validation"] is not None else None
        recipe = recipe_for(card.modality, len(samples))
        recipe = replace(recipe, epochs=self.arguments["epochs"] or recipe.epochs)
        self._expect(sum(len(arm.rows) for arm in self.left()) * recipe.epochs)

        def judge(arm: Arm, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            network = copy.deepcopy(model).to(device)
            training = labelled(samples, arm.rows, arm.labels)
            train_network(network, task, training, recipe, seed=seed, device=device, progress=self._advance)
            judged = validation if validation is not None else samples.take(self.split(seed)[1])
            logits, rows = network_logits(network, task, judged, device=device)
            return logits, judged.given_labels[rows]

        yield judge, recipe.described

    def _expect(self, total: int) -> None:
        self.total = total
        self.start = time.perf_counter()

    def _advance(self, steps: int) -> None:
        self.done += steps
        left = (time.perf_counter() - self.start) / self.done * max(self.total - self.done, 0)
        done = min(self.done, self.total)
        self.progress({"stage": "retraining", "done": done, "total": self.total, "seconds_left": round(left, 1)})
