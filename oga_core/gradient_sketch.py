"""What one gradient pass leaves behind: the arrays that every score is computed from."""

from __future__ import annotations

import json
import mmap
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.numerics import Array, Indices, Values, filled, room, softmax

TOKEN_LOSSES = "token_losses"
WORD_TAGS = "word_tags"
STATES = ("prompt_states", "prompt_means", "response_means")
LANGUAGE_ARRAYS = frozenset(
    {*STATES, "response_lengths", "end_losses", "peak_losses", "new_token_shares", "prompt_free_losses"}
)
"""What only the rows of a language model have."""


@dataclass(frozen=True, eq=False)
class GradientSketch:
    """Per-sample loss gradients in reduced form, in the data's order; arrays may be memory-mapped.

    The head's gradient of sample i is the outer product `delta[i] ⊗ features[i]` (weight) and `delta[i]` (bias)
    and is never built. Arrays that a model or an option does not offer are None.

    given_labels: `(n_samples,)` class indices, -1 without labels.
    losses: `(n_samples,)` cross-entropy on the given label; for language models the mean over response tokens.
    logits: `(n_samples, n_classes)`.
    features: `(n_samples, n_features)` inputs of the last linear layer.
    sketch: `(n_samples, sketch_dim)` random sketch of the gradient of all selected parameters (of the head's
        gradient where only the head was scored); dot products are kept in expectation.
    gradients: `(n_samples, n_parameters)` the gradient itself, where the selected parameters are few: one parameter
        after the other, in the model's order, each flattened.
    l1_norm_all, l2_norm_all: `(n_samples,)` exact norms of the gradient of all selected parameters.
    middle_features: `(n_samples, n_middle)` features pooled from middle layers, averaged over views if any.
    targets: `(n_samples,)` the numbers that a model was trained to predict.
    given_flags: `(n_samples, n_labels)` of 0 and 1, which of several labels each sample has.
    outputs: `(n_samples, n_outputs)` what it gives where that is no logits of classes; numbers in the data's units.
    output_gradients: `(n_samples, n_outputs)` loss gradient at the outputs, where it is not p - y.
    view_logits: `(n_samples, n_classes)` logits averaged over test-time views, for images.
    view_features: `(n_samples, n_features)` features averaged over the same views.
    inputs: `(n_samples, n_inputs)` what the model is given, for the rows of a table.
    prompt_states, prompt_means, response_means: `(n_samples, n_state)` of a language model's rows, the inputs of its
        last linear layer: at the last token before the response, and on average over prompt and response; float16.
    response_lengths: `(n_samples,)` tokens that are trained on. end_losses: `(n_samples,)` the last one's loss.
    peak_losses: `(n_samples,)` the largest loss of a trained token.
    new_token_shares: `(n_samples,)` share of the trained tokens that don't occur in the prompt.
    prompt_free_losses: `(n_samples,)` loss of a language model's responses without their prompts.
    word_spans: `(n_samples, 2)` where the words of each sentence begin and end in `words`, of models that tag words.
    region_losses: `(n_samples, ≤ 32, ≤ 32)` mean loss of the pixels with a class in every cell of an image, of
        models that give pixels a class; -1 without such a pixel; float16.
    region_kinds: `(n_samples, ≤ 32, ≤ 32)` twice the class that most of a cell has, and one more at the edge of an area
        of it; -1 without a class; int32.
    pixels: `(n_samples, 2)` how many pixels' classes the model predicts, and how many have one.
    mask_spans: `(n_samples, 2)` where each sample's predicted mask lies in the file of masks.
    thumbnails: `(n_samples, ≤ 32, ≤ 32)` uint8, small grey copies of images.
    looks: `(n_samples, 12 + n_channels)` statistics of images, whatever they show.
    signatures: `(n_samples, 128)` uint32, MinHash signatures of texts.
    coverage: share of the selected parameters that the sketch covers, 0 to 1.
    check_error: largest relative error against the one-by-one loop on a few samples, in the highest precision.
    precision_error: largest relative error of the chosen precision against the highest, on the same samples.
    """

    given_labels: Indices
    losses: Array
    sketch: Array
    logits: Array | None = None
    features: Array | None = None
    targets: Values | None = None
    given_flags: Values | None = None
    outputs: Array | None = None
    output_gradients: Array | None = None
    gradients: Array | None = None
    l1_norm_all: Array | None = None
    l2_norm_all: Array | None = None
    middle_features: Array | None = None
    view_logits: Array | None = None
    view_features: Array | None = None
    inputs: Array | None = None
    prompt_states: Array | None = None
    prompt_means: Array | None = None
    response_means: Array | None = None
    response_lengths: Array | None = None
    end_losses: Array | None = None
    peak_losses: Array | None = None
    new_token_shares: Array | None = None
    prompt_free_losses: Array | None = None
    word_spans: Indices | None = None
    words: WordRecords | None = None
    region_losses: Array | None = None
    region_kinds: Indices | None = None
    pixels: Indices | None = None
    mask_spans: Indices | None = None
    thumbnails: NDArray[np.uint8] | None = None
    looks: Array | None = None
    signatures: NDArray[np.uint32] | None = None
    coverage: float = 1.0
    check_error: float = 0.0
    precision_error: float = 0.0

    def __len__(self) -> int:
        return len(self.given_labels)

    @property
    def n_classes(self) -> int:
        return 0 if self.logits is None else int(self.logits.shape[1])

    @property
    def steady_features(self) -> Array | None:
        """The last layer's features, averaged over views where there are any."""
        return self.features if self.view_features is None else self.view_features

    @property
    def steady_logits(self) -> Array | None:
        """The logits, averaged over views where there are any."""
        return self.logits if self.view_logits is None else self.view_logits

    @cached_property
    def probabilities(self) -> Array:
        """Softmax of the logits, `(n_samples, n_classes)`."""
        assert self.logits is not None, "this modality has no class logits"
        logits = self.logits
        return filled(room(logits.shape), lambda part: softmax(logits[part]))

    @cached_property
    def delta(self) -> Array:
        """Loss gradient at the outputs, `(n_samples, n_outputs)`: of plain cross-entropy p - y.

        Raises `AttributeError` for language models, whose outputs are not kept.
        """
        if self.output_gradients is not None:
            return self.output_gradients
        if self.logits is None:
            raise AttributeError("a language model's outputs are not kept")
        probabilities = self.probabilities

        def of(part: slice) -> Array:
            errors = probabilities[part].copy()
            errors[np.arange(len(errors)), self.given_labels[part]] -= 1
            return errors

        return filled(room(probabilities.shape), of)

    def take(self, indices: Indices) -> GradientSketch:
        """Return the samples at `indices`."""
        changes: dict[str, Any] = {
            field.name: np.asarray(value)[indices]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        return replace(self, **changes)

    def let_go(self) -> None:
        """Take out of this process's memory what it has read of mapped files; it is read again when it is asked for."""
        let_go(getattr(self, field.name) for field in fields(self))

    def save(self, folder: Path) -> None:
        """Write every array as `<name>.npy` into `folder`; the two numbers belong in `run.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and not _is_file(value, folder / f"{field.name}.npy"):
                np.save(folder / f"{field.name}.npy", value, allow_pickle=False)

    @classmethod
    def load(
        cls, folder: Path, *, coverage: float = 1.0, check_error: float = 0.0, precision_error: float = 0.0
    ) -> GradientSketch:
        """Open the arrays written by `save`, memory-mapped."""
        arrays = {
            field.name: np.load(folder / f"{field.name}.npy", mmap_mode="r", allow_pickle=False)
            for field in fields(cls)
            if (folder / f"{field.name}.npy").exists()
        }
        words = WordRecords(folder)
        return cls(
            **arrays,
            words=words if words.widths.is_file() else None,
            coverage=coverage,
            check_error=check_error,
            precision_error=precision_error,
        )


def let_go(arrays: Iterable[object]) -> None:
    """Take out of this process's memory what it has read of mapped arrays; it is read again when it is asked for."""
    for array in arrays:
        if isinstance(array, np.memmap) and array.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
            array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


@contextmanager
def letting_go(arrays: Sequence[object]) -> Iterator[None]:
    """Do so twice a second meanwhile: a score may read 20 GB of a file once, and they would all be resident."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            let_go(arrays)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class TokenLosses:
    """The losses of all trained tokens in one file of float16 numbers, and where each row's begin and end.

    Rows are appended as they are computed; what an interrupted pass left without a span is never read.
    """

    def __init__(self, folder: Path):
        self.path = folder / f"{TOKEN_LOSSES}.f16"
        self.spans = folder / "token_spans.npy"

    def append(self, rows: NDArray[np.float16]) -> Indices:
        """Write the losses that are not -1 of `(batch, time)`; return where each row's lie, `(batch, 2)`."""
        counted = rows >= 0
        with self.path.open("ab") as file:
            stops = file.tell() // rows.itemsize + np.cumsum(counted.sum(axis=1))
            file.write(np.ascontiguousarray(rows[counted], dtype=np.float16).tobytes())
        return np.stack([stops - counted.sum(axis=1), stops], axis=1).astype(np.int64)

    def of(self, row: int) -> NDArray[np.float16]:
        """The losses of one row's trained tokens in their order, `(n_tokens,)`; none where the run has none."""
        if not (self.path.is_file() and self.spans.is_file()):
            return np.zeros(0, dtype=np.float16)
        start, stop = np.load(self.spans, mmap_mode="r", allow_pickle=False)[row]
        return np.fromfile(self.path, dtype=np.float16, count=int(stop - start), offset=2 * int(start))


class WordRecords:
    """The tagged words of all sentences in one file of records, appended as they are computed.

    A record holds a word's tag, its place in its sentence, its form (a hash of how it is written), the model's logits,
    and in float16 features of the last and of middle layers where the model shows them; words.json has their widths.
    What an interrupted pass left without a span is never read.
    """

    def __init__(self, folder: Path):
        self.path = folder / "words.records"
        self.widths = folder / "words.json"

    def append(self, values: Mapping[str, NDArray[np.generic]]) -> Indices:
        """Write the words of `(batch, time, …)` whose tag is not -1; return where each row's lie, `(batch, 2)`."""
        counted = np.asarray(values[WORD_TAGS]) >= 0
        if not self.widths.is_file():
            widths = {name: values[column].shape[2] for name, column in _WIDE.items() if column in values}
            self.widths.write_text(json.dumps(widths))
        records = np.zeros(int(counted.sum()), dtype=self.record)
        for name, column in (_NARROW | _WIDE).items():
            if column in values and name in (records.dtype.names or ()):
                records[name] = values[column][counted]
        with self.path.open("ab") as file:
            first = file.tell() // records.itemsize
            file.truncate(first * records.itemsize)
            file.write(records.tobytes())
        stops = first + np.cumsum(counted.sum(axis=1))
        return np.stack([stops - counted.sum(axis=1), stops], axis=1).astype(np.int64)

    @property
    def record(self) -> np.dtype[np.void]:
        """What one record holds."""
        widths = json.loads(self.widths.read_text())
        wide = [(name, "<f4" if name == "logits" else "<f2", (width,)) for name, width in widths.items()]
        return np.dtype([("tag", "<i4"), ("place", "<i4"), ("form", "<i8"), *wide])

    def of(self, spans: Indices) -> NDArray[np.void]:
        """The records of some rows, one row after the other."""
        records = np.memmap(self.path, dtype=self.record, mode="r")
        return np.asarray(records[np.concatenate([np.arange(start, stop) for start, stop in spans.tolist()])])


_NARROW = {"tag": WORD_TAGS, "place": "word_places", "form": "word_forms"}
_WIDE = {"logits": "word_logits", "features": "word_features", "middle": "word_middle"}


def concatenate(parts: Sequence[Array]) -> Array:
    """Stack batches of rows into one float32 array."""
    return np.concatenate(parts).astype(np.float32, copy=False)


def _is_file(array: NDArray[np.generic], path: Path) -> bool:
    return isinstance(array, np.memmap) and array.filename is not None and Path(array.filename) == path
