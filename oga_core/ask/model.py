"""The run's language model: it writes responses, and gives the gradient of a query as the run's rows have theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oga_core.errors import OgaError
from oga_core.gradient_sketch import GradientSketch
from oga_core.gradients.batches import first_batch, pass_order, to_device
from oga_core.gradients.devices import choose_device
from oga_core.gradients.failures import StartAgain
from oga_core.gradients.forward import first_look
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.passes import evaluating, fits, new_pass
from oga_core.gradients.walk import BatchPass
from oga_core.models import load_model
from oga_core.models.card import ModelCard
from oga_core.numerics import Floats, evenly_spaced
from oga_core.runs.folder import RunFolder
from oga_core.runs.info import RunInfo
from oga_core.samples import SampleSet
from oga_core.tasks.prepare import prepare
from oga_core.tasks.task import Batch, Task

CHECKED_ROWS = 64
"""Of the run's, on a few of which the gradients of queries are checked."""
RESPONSE_TOKENS = 64
"""Most that are generated: enough to recognise an answer by, and seconds on a processor."""


class QueryPass:
    """Losses and gradients of single batches; the method is chosen once and checked on a few of `samples`.

    options: of the pass whose gradients they are compared with; equal options and names of parameters give the same
    random projection.
    """

    def __init__(self, task: Task, model: nn.Module, samples: SampleSet, options: PassOptions):
        self.task = task
        self.options = options
        self.device = choose_device(options.device)
        self.model = model.to(self.device)
        self._first = first_batch(task, samples, pass_order(task, samples), self.device)
        self._given_up: set[str] = set()
        self._pass = self._checked()

    def __call__(self, batch: Batch) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of a batch by the names of `GradientSketch`; raises `OgaError` where the model fails."""
        batch = to_device(batch, self.device)
        while True:
            try:
                with evaluating(self.model), fits(batch):
                    return {name: value.cpu().numpy() for name, value in self._pass(batch).items()}
            except StartAgain:  # each time a method fewer is left, and the last one never asks for it
                self._pass = self._checked()

    def _checked(self) -> BatchPass:
        first = self._first
        with evaluating(self.model), fits(first):
            seen = first_look(self.task, self.model, self.options.parameters, first)
            return new_pass(self.task, self.model, self.options, seen, first, self.device, self._given_up)


class QueryModel:
    """The model of a run, loaded once; raises `OgaError` where it is not there or not as it was."""

    def __init__(self, run: RunFolder, samples: SampleSet, sketch: GradientSketch):
        info = run.info
        if not info.model.path or not Path(info.model.path).exists():
            raise OgaError(
                "This run's model is not on this machine, so it cannot be asked about a prompt. Put the model back, or "
                "ask about a row of the run."
            )
        given = info.options.get("model_card")
        card = ModelCard.from_json(Path(given).read_bytes(), Path(given).name) if given else None
        loaded = load_model(Path(info.model.path), card)
        samples, self._task = prepare(samples, loaded, info.options.get("trained_on"))
        self._module: Any = loaded.module
        self._tokenizer: Any = loaded.tokenizer
        options = _options_of(info, sketch)
        few = samples.take(evenly_spaced(np.arange(len(samples)), CHECKED_ROWS))
        self._pass = QueryPass(self._task, self._module, few, options)
        self.shapes = [tuple(p.shape) for p in choose_parameters(self._module, options.parameters).values()]

    def gradients(self, queries: SampleSet) -> tuple[Floats, Floats]:
        """Gradients `(n_queries, n_numbers)` in the form of the run's, and losses `(n_queries,)`."""
        passes = [self._pass(self._batch(queries, [row])) for row in range(len(queries))]
        name = "gradients" if "gradients" in passes[0] else "sketch"
        gradients, losses = (np.concatenate([arrays[key] for arrays in passes]) for key in (name, "losses"))
        if not np.isfinite(gradients).all():
            raise OgaError("The model's loss on the query is not finite. Change the prompt or the response.")
        return gradients.astype(np.float32), losses.astype(np.float32)

    def respond(self, query: SampleSet) -> str:
        """Return the model's own response, its likeliest token each time; `query` has the prompt with no response."""
        from transformers import GenerationConfig

        batch = self._batch(query, [0])
        start = int((batch["labels"][0] >= 0).to(torch.uint8).argmax())
        prompt: Tensor = batch["input_ids"][:, :start]
        room = min(RESPONSE_TOKENS, getattr(self._task, "max_length", 0) - start)
        if not hasattr(self._module, "generate") or start == 0 or room < 1:
            raise OgaError("The model cannot write a response to this prompt. Give the response too.")
        padding = self._tokenizer.pad_token_id
        end = self._tokenizer.eos_token_id
        generation = GenerationConfig(
            max_new_tokens=room, do_sample=False, eos_token_id=end, pad_token_id=end if padding is None else padding
        )
        prompt = prompt.to(self._pass.device)
        with torch.no_grad():
            whole = self._module.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), generation_config=generation
            )
        return str(self._tokenizer.decode(whole[0, start:], skip_special_tokens=True))

    def _batch(self, queries: SampleSet, rows: Sequence[int]) -> dict[str, Tensor]:
        return self._task.batch(queries, np.array(rows, dtype=np.int64))


def _options_of(info: RunInfo, sketch: GradientSketch) -> PassOptions:
    """The options of the run's pass, as far as they change a gradient."""
    parameters = str(info.options.get("parameters", "auto"))
    return PassOptions(
        parameters="all" if parameters == "auto" else parameters,
        sketch_dim=sketch.sketch.shape[1],
        whole_parameters=0 if sketch.gradients is None else sketch.gradients.shape[1],
        seed=int(info.options.get("seed", 0)),
        precision=str(info.options.get("precision", "float32")),
        exact_l2=False,
        device="cpu",  # the process that answers is kept from the drivers of cards
    )
