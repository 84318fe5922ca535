"""Folders for other tools: Hugging Face datasets, Label Studio, FiftyOne."""

from __future__ import annotations

import io
import json
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from oga_core.errors import OgaError
from oga_core.exports.decided import Decided, original_row
from oga_core.exports.members import Member, write_members
from oga_core.readers.image_data import SUFFIXES
from oga_core.readers.image_inputs import ImageInputs
from oga_core.review.edits import typed_label
from oga_core.samples import Subset, labels_of


def write_huggingface(decided: Decided, out: Path, spreadsheet_safe: bool = False) -> Path:
    """Write a folder for `datasets.load_dataset`: an image folder with metadata, or one JSON-lines file."""
    if decided.samples.modality == "outputs":
        raise OgaError("A bundle of outputs holds no samples for a Hugging Face data set. Export csv instead.")
    if decided.samples.masks is not None:
        raise OgaError("Images with masks are written back in the format that they came in. Export fixed instead.")
    members = _image_members(decided) if decided.samples.modality == "image" else _row_members(decided)
    return _write(decided, out, members)


def write_label_studio(decided: Decided, out: Path, spreadsheet_safe: bool = False) -> Path:
    """Write tasks with predictions, the decisions as annotations, the labeling config, and the images."""
    if decided.samples.modality not in ("image", "text"):
        raise OgaError(
            f"Label Studio is for images and texts, not for {decided.samples.modality} data. Export csv instead."
        )
    _require_classes(decided, "Label Studio's choices")
    return _write(decided, out, _label_studio_members(decided))


def write_fiftyone(decided: Decided, out: Path, spreadsheet_safe: bool = False) -> Path:
    """Write `data/` and `labels.json`, FiftyOne's image classification dataset."""
    if decided.samples.modality != "image":
        raise OgaError(f"FiftyOne is for images, not for {decided.samples.modality} data. Export csv instead.")
    _require_classes(decided, "FiftyOne's classifications")
    return _write(decided, out, _fiftyone_members(decided))


def _require_classes(decided: Decided, what: str) -> None:
    if decided.samples.target != "class":
        raise OgaError(f"{what} are one class a sample, which these data do not have. Export csv or fixed instead.")


def _write(decided: Decided, out: Path, members: Iterator[Member]) -> Path:
    return write_members(out, decided.counted(members, len(decided)))


def _image_members(decided: Decided) -> Iterator[Member]:
    lines = []
    for i in decided.remaining.tolist():
        name, content = _image_file(decided, i)
        yield f"train/{name}", content
        label: Any = decided.final_label(i)
        if label is not None and decided.samples.target != "class":
            label = float(label) if decided.samples.target == "number" else labels_of(label)
        lines.append(json.dumps({"file_name": name, "label": label, "id": decided.samples.ids[i]}, ensure_ascii=False))
    yield "train/metadata.jsonl", ("\n".join(lines) + "\n").encode()


def _row_members(decided: Decided) -> Iterator[Member]:
    column = decided.samples.source.columns.get("label") or "label"
    lines = []
    for i in decided.remaining.tolist():
        row = original_row(decided.final_row(i))
        label = decided.edits.labels.get(decided.samples.ids[i])
        if label is not None:
            row[column] = typed_label(label, row.get(column))
        lines.append(json.dumps(row, ensure_ascii=False, default=str))
    yield "train.jsonl", ("\n".join(lines) + "\n").encode()


def _label_studio_members(decided: Decided) -> Iterator[Member]:
    kind = "image" if decided.samples.modality == "image" else "text"
    predicted = decided.table["predicted_label"].astype(str).tolist()
    tasks = []
    for i in range(len(decided)):
        if kind == "image":
            name, content = _image_file(decided, i)
            yield f"images/{name}", content
            data = {"image": f"/data/local-files/?d=images/{name}"}
        else:
            data = _text_data(decided.samples.inputs[i])
        tasks.append(_task(decided, i, kind, data, predicted[i]))
    yield "tasks.json", json.dumps(tasks, ensure_ascii=False, indent=1).encode()
    yield "config.xml", _config(decided, kind).encode()


def _text_data(text: str | tuple[str, str]) -> dict[str, str]:
    return {"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]}


def _task(decided: Decided, i: int, kind: str, data: dict[str, str], predicted: str) -> dict[str, Any]:
    sample_id = decided.samples.ids[i]
    score = (int(decided.ranks[i]) - 1) / max(1, len(decided) - 1)
    prediction = {"model_version": f"oga {decided.method}", "score": score, "result": [_choice(kind, predicted)]}
    given = decided.samples.class_names[int(decided.samples.given_labels[i])]
    task: dict[str, Any] = {"data": {**data, "sample_id": sample_id, "given_label": given}, "predictions": [prediction]}
    decision = decided.decisions.get(sample_id)
    if decision is not None and decision.action in ("keep", "relabel"):
        task["annotations"] = [{"result": [_choice(kind, str(decided.final_label(i)))]}]
    elif decision is not None and decision.action == "remove":
        task["annotations"] = [{"result": [], "was_cancelled": True}]
    return task


def _choice(kind: str, label: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": kind, "type": "choices", "value": {"choices": [label]}}


def _config(decided: Decided, kind: str) -> str:
    shown = '<Image name="image" value="$image"/>' if kind == "image" else '<Text name="text" value="$text"/>'
    if "text_pair" in decided.samples.source.columns:
        shown += '<Text name="text_pair" value="$text_pair"/>'
    choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in decided.samples.class_names)
    return f'<View>{shown}<Choices name="label" toName="{kind}" choice="single">{choices}</Choices></View>\n'


def _fiftyone_members(decided: Decided) -> Iterator[Member]:
    labels = {}
    index = {name: i for i, name in enumerate(decided.samples.class_names)}
    for i in decided.remaining.tolist():
        name, content = _image_file(decided, i)
        yield f"data/{name}", content
        labels[posixpath.splitext(name)[0]] = index[str(decided.final_label(i))]
    classes = list(decided.samples.class_names)
    yield "labels.json", json.dumps({"classes": classes, "labels": labels}, ensure_ascii=False).encode()


def _image_file(decided: Decided, i: int) -> tuple[str, bytes]:
    """Return a flat unique name and the bytes of an image: the original file, or a PNG where there is none."""
    inputs = decided.samples.inputs
    base = inputs.base if isinstance(inputs, Subset) else inputs
    place = int(inputs.indices[i]) if isinstance(inputs, Subset) else i
    stem, suffix = posixpath.splitext(posixpath.basename(decided.samples.ids[i]))
    name = f"{i:07d}_{_plain(stem)}"
    if isinstance(base, ImageInputs):
        content = base.encoded(place)
        suffix = posixpath.splitext(base.names[place])[1] if base.names is not None else suffix
        return name + (suffix if suffix.casefold() in SUFFIXES else _suffix_of_content(content)), content
    file = io.BytesIO()
    base[place].save(file, "PNG")
    return f"{name}.png", file.getvalue()


def _plain(stem: str) -> str:
    """Return letters, digits, - and _ of a name, at most 80, with _ for every other character."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in stem[:80])
    return plain.encode()[:200].decode(errors="ignore")  # a name of a file has at most 255 bytes


def _suffix_of_content(content: bytes) -> str:
    marks = {b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp", b"RIFF": ".webp", b"II": ".tif", b"MM": ".tif"}
    return next((suffix for mark, suffix in marks.items() if content.startswith(mark)), ".jpg")
