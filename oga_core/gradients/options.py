"""What a gradient pass computes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from oga_core.errors import OgaError, unknown

PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
CHECKED_SAMPLES = 4
"""Of a self-check against gradients one by one: as few as tell a batch from its samples."""
SKETCH_DIM = 512
LANGUAGE_SKETCH_DIM = 4096
"""Of language models, whose sketches answer questions: a dot product of two is off by 1 / √dim of their lengths, and at
512 that is as much as most rows' influence. 100,000 rows take 1.6 GB, which is read through in about a second."""
WHOLE_NUMBERS = 2**27
"""Gradients of a language model's rows are also kept whole up to this many numbers, rows times parameters: 0.5 GB,
which costs a question no more time than the sketches of 30,000 rows."""


@dataclass(frozen=True)
class PassOptions:
    """What to compute.

    parameters: `head`, `all`, `last:N` (blocks), `lora` or `pattern:REGEX` (searched in parameter names).
    sketch_dim: length of the sketch. whole_parameters: gradients of no more parameters are also kept whole.
    batch_size: None chooses it from memory. views: also average logits over views.
    exact_l1, exact_l2: exact norms of the gradient of all selected parameters; the head's need no option.
    without_prompt: also the loss of language models' responses without their prompts, by one more forward pass.
    thumbnails: also keep small grey copies of images and their looks, by which near-duplicates and foreign
        files are told.
    precision: `float32`, `tf32` (products on a card rounded to 10 bits), `bfloat16` or `float16` (autocast;
        sums stay in float32).
    """

    parameters: str = "head"
    sketch_dim: int = SKETCH_DIM
    whole_parameters: int = 0
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    exact_l1: bool = False
    exact_l2: bool = True
    views: bool = False
    without_prompt: bool = False
    thumbnails: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.sketch_dim < 1:
            raise OgaError(f"sketch_dim must be 1 or more, got {self.sketch_dim}.")
        if self.batch_size is not None and self.batch_size < 1:
            raise OgaError(f"The batch size must be 1 or more, got {self.batch_size}. Leave it out to have it chosen.")
        require_known(self.precision)

    @property
    def fingerprint(self) -> str:
        """Changes with every option that changes the results."""
        return hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=16).hexdigest()


def require_known(precision: str) -> None:
    """Raise `OgaError` for the name of a precision that there is none of."""
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
