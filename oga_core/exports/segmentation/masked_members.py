"""Images with masks, without what was removed, and with the masks of the model where somebody took them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from oga_core.errors import OgaError
from oga_core.exports.decided import Decided
from oga_core.exports.members import Member
from oga_core.exports.rows import edited_table
from oga_core.exports.table import cell
from oga_core.readers.archives import Archive
from oga_core.readers.masks.mask_data import encode_mask
from oga_core.readers.masks.masks import Masks
from oga_core.runs.pixels import RunPixels
from oga_core.samples import MODEL_MASK, REDO, SampleSet, Subset

TO_REDO = "masks_to_redo.csv"
"""The list of masks that somebody has yet to draw, beside the data."""


def masked_members(archive: Archive, decided: Decided, spreadsheet_safe: bool = False) -> Iterator[Member]:
    """Yield the members of the archive with the edits, the table of labels beside it, and the list of masks to redo."""
    samples = decided.samples
    names = member_names(samples)
    new = decided.edits.labels
    removed = {name for i, pair in enumerate(names) if samples.ids[i] in decided.edits.removed for name in pair}
    remaining = {name for i, pair in enumerate(names) if samples.ids[i] not in decided.edits.removed for name in pair}
    predicted = {names[i][1]: i for i, key in enumerate(samples.ids) if new.get(key) == MODEL_MASK}
    table = samples.source.columns.get("table")
    beside = samples.source.labels_path
    pixels = _pixels(decided) if predicted else None
    for name in archive.names:
        if name == TO_REDO or (name in removed and name not in remaining):
            continue
        content = archive.read(name)
        if pixels is not None and name in predicted:
            content = model_mask(samples, predicted[name], content, pixels)
        elif name == table and beside is None:
            content = b"".join(edited_table(content, name, None, decided.edits.only_removed()))
        yield name, content
    if beside is not None:
        yield beside.name, b"".join(edited_table(beside, beside.name, None, decided.edits.only_removed()))
    rows = [i for i, key in enumerate(samples.ids) if new.get(key) == REDO]
    if rows:
        yield TO_REDO, _to_redo(decided, rows, names, spreadsheet_safe)


def model_mask(samples: SampleSet, row: int, like: bytes, pixels: RunPixels) -> bytes:
    """Return the model's mask as a file of the same size, mode and palette as the given one.

    Pixels that have no class in the given mask have none in the new one.
    """
    assert samples.masks is not None, "the samples have masks"
    return encode_mask(masks_of(samples).stored(pixels.in_place_of(samples.masks[row], row)), like)


def masks_of(samples: SampleSet) -> Masks:
    """The masks of the whole data that these samples are of."""
    masks = samples.masks.base if isinstance(samples.masks, Subset) else samples.masks
    assert isinstance(masks, Masks)
    return masks


def member_names(samples: SampleSet) -> list[tuple[str, str]]:
    """Return the members of the archive that hold each sample's image and mask."""
    files: list[Sequence[str]] = []
    for each in (samples.inputs, samples.masks):
        base: Any = each.base if isinstance(each, Subset) else each
        stored: Any = base.files.names if isinstance(base, Masks) else base.names
        places = each.indices.tolist() if isinstance(each, Subset) else range(len(samples))
        files.append([stored[place] for place in places])
    return list(zip(*files, strict=True))


def _pixels(decided: Decided) -> RunPixels:
    if decided.run is None:
        raise OgaError("The model's masks lie in the run's folder, which is not there.")
    return RunPixels(decided.run)


def _to_redo(decided: Decided, rows: Sequence[int], names: Sequence[tuple[str, str]], spreadsheet_safe: bool) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("sample_id", "image", "mask", "reviewer", "note"))
    for i in rows:
        made = decided.decisions[decided.samples.ids[i]]
        values = (made.sample_id, *names[i], made.reviewer, made.note)
        writer.writerow([cell(value, spreadsheet_safe) for value in values])
    return text.getvalue().encode()
