"""Everything that a question about a run needs, read once: rows, words, gradients and the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oga_core.ask.influence import Influence
from oga_core.ask.methods import default_method
from oga_core.ask.rows import query_samples, row_like, text_of
from oga_core.ask.words import WordIndex, shared_words
from oga_core.errors import OgaError, UnreadableSample
from oga_core.gradient_sketch import GradientSketch
from oga_core.numerics import Floats
from oga_core.readers import read_samples
from oga_core.runs.folder import RunFolder
from oga_core.samples import SampleSet
from oga_core.worker.stages import Progress

if TYPE_CHECKING:
    from oga_core.ask.model import QueryModel

MOST_QUERIES = 200
"""Rows of one question; each takes a backward pass."""
_SHOWN_CHARACTERS = 2000


Load = Callable[[RunFolder, SampleSet, GradientSketch], "QueryModel"]


@dataclass(frozen=True, eq=False)
class Asked:
    """A question, and how all rows of the run rank for it.

    samples, queries: as rows, and as they are shown. method: the run's default. rankings: scores `(n_queries, n_rows)`
    by that method and by BM25.
    """

    samples: SampleSet
    queries: list[dict[str, Any]]
    method: str
    rankings: dict[str, Floats]


class Desk:
    """Answers questions about a run; the model is there where `load` can load it."""

    def __init__(self, run: RunFolder, load: Load, progress: Progress):
        self.samples = run.samples
        self.texts = [_text(self.samples, row) for row in range(len(self.samples))]
        self.words = WordIndex(self.texts)
        sketch = run.gradient_sketch()
        self.influence = Influence(sketch, lambda: self.model().shapes, seed=int(run.info.options.get("seed", 0)))
        progress({"stage": "loading the model"})
        self._model: QueryModel | None = None
        self._refusal = ""
        try:
            self._model = load(run, self.samples, sketch)
        except OgaError as error:
            self._refusal = str(error)

    def model(self) -> QueryModel:
        if self._model is None:
            raise OgaError(self._refusal)
        return self._model

    def ranked(self, request: Mapping[str, Any]) -> Asked:
        """Return how all rows rank for a question. Raises `OgaError` for one that cannot be asked."""
        try:
            samples, queries = self.asked(request)
            gradients, _ = self.model().gradients(samples)
        except UnreadableSample as error:
            raise OgaError(f"The question cannot be read: {error}.") from None
        method = default_method(whole=self.influence.is_whole)
        by_words = np.stack([self.words.bm25(query["text"]) for query in queries])
        return Asked(samples, queries, method, {method: self.influence(gradients, method), "bm25": by_words})

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the queries as they were understood, and the rows for and against their mean and each of them."""
        own = [int(row) for row in request.get("rows") or ()]
        if own:
            queries: list[dict[str, Any]] = [{"text": self.texts[row], "id": str(self.samples.ids[row])} for row in own]
            _, gradients = self.influence.gradients.block(np.array(own, dtype=np.int64))
        else:
            samples, queries = self.asked(request)
            gradients, losses = self.model().gradients(samples)
            queries = [{**query, "loss": float(loss)} for query, loss in zip(queries, losses, strict=True)]
        texts = [query["text"] for query in queries]
        if len(queries) > 1:
            gradients = np.concatenate([gradients.mean(axis=0)[None], gradients])
            texts.insert(0, " ".join(texts))
        scores = self.influence(gradients, request["method"])
        lists = [self._lists(score, text, request["top"], own) for score, text in zip(scores, texts, strict=True)]
        return {"queries": queries, "whole": self.influence.is_whole, "mean": lists[0], "each": lists[1:]}

    def asked(self, request: Mapping[str, Any]) -> tuple[SampleSet, list[dict[str, Any]]]:
        """Return the queries as rows that the model takes, and as they are shown; one without a response gets it."""
        if request.get("file"):
            samples = read_samples(Path(request["file"]), modality="causal_lm")
            if not 0 < len(samples) <= MOST_QUERIES:
                raise OgaError(f"A question has 1 to {MOST_QUERIES} rows, and the file has {len(samples):,}.")
            texts = [_text(samples, row) for row in range(len(samples))]
            return samples, [{"text": text, "id": str(name)} for text, name in zip(texts, samples.ids, strict=True)]
        prompt = request["prompt"]
        response = request.get("response")
        if not prompt.strip():
            raise OgaError("The prompt is empty. Write what the model is asked.")
        generated = response is None
        like = self.samples.rows[0]
        if response is None:
            response = self.model().respond(query_samples([row_like(like, prompt, "")]))
        samples = query_samples([row_like(like, prompt, response)])
        query = {"prompt": prompt, "response": response, "generated": generated, "text": f"{prompt} {response}"}
        return samples, [query]

    def _lists(self, scores: Floats, text: str, top: int, own: Sequence[int]) -> dict[str, Any]:
        order = np.argsort(-scores, kind="stable")
        order = order[~np.isin(order, own)]
        by_words = self.words.bm25(text)
        place = np.empty(len(scores), dtype=np.int64)
        place[np.argsort(-by_words, kind="stable")] = np.arange(1, len(scores) + 1)
        pushed_for = [row for row in order[:top] if scores[row] > 0]
        against = [row for row in order[::-1][:top] if scores[row] < 0]

        def shown(row: int) -> dict[str, Any]:
            return {
                "row": int(row),
                "id": str(self.samples.ids[row]),
                "score": float(scores[row]),
                "words": round(shared_words(text, self.texts[row]), 4),
                "place_by_words": int(place[row]),
                "text": self.texts[row][:_SHOWN_CHARACTERS],
            }

        return {"for": [shown(row) for row in pushed_for], "against": [shown(row) for row in against]}


def _text(samples: SampleSet, row: int) -> str:
    try:
        return text_of(samples.inputs[row])
    except UnreadableSample:
        return ""
