"""A short hash of what each sample holds, labels apart: so that a later run knows whether it is the same sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from oga_core.errors import UnreadableSample
from oga_core.readers.image_inputs import ImageInputs
from oga_core.samples import SampleSet, Subset

_BYTES = 8
"""64 bits: a pair of a million samples collides with a chance of 3 in 100 million."""


def content_hashes(samples: SampleSet) -> list[str]:
    """Return 16 hexadecimal digits for each sample; none, an empty text, for outputs and for what cannot be read.

    Of an image its file, of a text, a row or a conversation its values: not the label, not the id.
    """
    if samples.modality == "outputs":
        return [""] * len(samples)
    return [_hashed(samples, i) for i in range(len(samples))]


def _hashed(samples: SampleSet, i: int) -> str:
    try:
        content = _encoded(samples.inputs, i)
    except (UnreadableSample, OSError, ValueError):
        return ""
    return hashlib.blake2b(content, digest_size=_BYTES).hexdigest()


def _encoded(inputs: Any, i: int) -> bytes:
    base, place = (inputs.base, int(inputs.indices[i])) if isinstance(inputs, Subset) else (inputs, i)
    if isinstance(base, ImageInputs):
        return base.encoded(place)
    value = base[place]
    if hasattr(value, "tobytes"):  # an image or an array in memory
        return np.asarray(value).tobytes()
    return json.dumps(value, ensure_ascii=False, sort_keys=isinstance(value, Mapping), default=str).encode()
