"""The worker's part of telling what a file is that a person gives, by its content alone; nothing of it is run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.models.card import ModelCard
from oga_core.models.folders import is_model_part
from oga_core.models.formats import model_format, zip_format
from oga_core.models.refusals import REFUSALS, refusal
from oga_core.previews.model_cards import card_of, output_of
from oga_core.previews.roles import FileContent
from oga_core.readers import unreadable
from oga_core.readers.answers.preferences import form_of
from oga_core.readers.archives import Archive, is_zip, open_archive
from oga_core.readers.archives.archive import suffix_of
from oga_core.readers.columns import recognise, some
from oga_core.readers.formats import FORMATS, is_data_file, kind_of_file
from oga_core.readers.image_data import SUFFIXES
from oga_core.readers.images import table_inside
from oga_core.readers.language import shape_of
from oga_core.readers.masks.mask_pairs import mask_pairs
from oga_core.readers.npy import NpzArrays, read_npy
from oga_core.readers.outputs import is_outputs
from oga_core.readers.tables import open_text_table
from oga_core.readers.tables.arrow import ParquetTable, open_arrow_file
from oga_core.readers.tables.saved import open_saved_dataset
from oga_core.readers.webdataset import is_webdataset
from oga_core.worker.stages import Progress

_MAX_CARD_BYTES = 1 << 20
_NAMED_COLUMNS = 4
_IMAGE_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*")
_CALLED = {
    "pt2": "packaged model",
    "pt2_folder": "packaged model",
    "huggingface": "Hugging Face model",
    "peft": "PEFT adapter",
    "skops": "scikit-learn model",
    "safetensors": "weights of a network",
    "state_dict": "weights of a network",
    "zip": "zipped model",
}


def run(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the fields of the `FileContent` of the file or folder at `path`."""
    path = Path(arguments["path"])
    try:
        return asdict(_content(path))
    except OgaError as error:
        return asdict(FileContent(path.name, problem=str(error)))


def _content(path: Path) -> FileContent:
    if path.is_dir():
        return _folder(path)
    with path.open("rb") as file:
        head = file.read(512)
    described = _json_object(path, head)
    if described is not None:
        return _described(path, described)
    if is_zip(path):
        archive = open_archive(path)
        kind = zip_format(archive.names, path.suffix)
        return _archive(archive) if kind in ("unknown", "npz") else _model(path, kind)
    if is_data_file(path, head):
        return _data(path)
    if head.startswith(_IMAGE_STARTS):
        raise OgaError(f"{path.name} is a single image. Zip the folder of all images, and give the zip.")
    kind = model_format(path)
    if kind == "unknown":
        raise OgaError(f"{path.name} is neither data nor a model that is known. Data: {FORMATS}. {_models()}")
    return _model(path, kind)


def _models() -> str:
    return f"Models: {REFUSALS['unknown'].partition('Accepted: ')[2].partition('. ')[0]}."


def _folder(path: Path) -> FileContent:
    try:
        kind = model_format(path)
    except OgaError:
        return _archive(open_archive(path))
    return _model(path, kind)


def _json_object(path: Path, head: bytes) -> dict[str, Any] | None:
    """The one object that a file holds, None where it holds anything else."""
    is_small = path.stat().st_size <= _MAX_CARD_BYTES
    if not is_small or not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return None
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _described(path: Path, content: dict[str, Any]) -> FileContent:
    if "modality" in content or {"classes", "input"} <= content.keys():
        card = ModelCard.from_json(path.read_bytes(), path.name)
        return FileContent(path.name, "card", f"model card: {_about_card(card)}", card=card.to_json())
    if is_model_part(path.name, content):
        raise OgaError(f"{path.name} is one file of a model folder. Zip the folder, and give the zip.")
    return _table(path.name, open_text_table(path).columns)  # which says what is wrong with one object


def _data(path: Path) -> FileContent:
    kind = kind_of_file(path)
    if kind == "text table":
        return _table(path.name, open_text_table(path).columns)
    if kind == "parquet":
        columns = ParquetTable(path).columns
        return _arrays(path.name, columns) if is_outputs(columns) else _table(path.name, columns)
    if kind == "arrow":
        return _table(path.name, open_arrow_file(path).columns)
    if kind == "npy":
        shape = read_npy(path).shape
        kind = "labels" if len(shape) == 1 else "arrays"
        return FileContent(path.name, kind, f"array of {' × '.join(f'{n:,}' for n in shape)}")
    return _archive(open_archive(path))


def _archive(archive: Archive) -> FileContent:
    name, members = archive.path.name, archive.names
    saved = open_saved_dataset(archive)
    if saved is not None:
        return _table(name, saved.columns)
    if members and all(member.endswith(".npy") for member in members):
        return _arrays(name, list(NpzArrays(archive)))
    n_images = sum(suffix_of(member) in SUFFIXES for member in members)
    if not n_images and not is_webdataset(archive):
        raise unreadable(archive)
    inside = table_inside(archive)
    columns = open_text_table(archive.read(inside), inside).columns if inside else ()
    is_listed = any(recognise(role, columns) for role in ("label", "mask"))
    if n_images and not is_listed and mask_pairs(archive):
        return FileContent(name, "samples", f"{n_images:,} files of images and masks", **_named(()))
    about = f"{n_images:,} images" if n_images else f"{len(members):,} files of samples"
    return FileContent(name, "samples", f"{about}, with {inside}" if inside else about, **_named(columns))


def _table(name: str, columns: Sequence[str]) -> FileContent:
    shown = some(columns, _NAMED_COLUMNS).replace("'", "")
    is_language = shape_of(columns) is not None
    are_pairs = form_of(columns) is not None
    what = "preference pairs" if are_pairs else "rows for a language model" if is_language else "table"
    about = f"{what}: {shown}"
    return FileContent(name, "table", about, is_language=is_language, are_pairs=are_pairs, **_named(columns))


def _arrays(name: str, columns: Sequence[str]) -> FileContent:
    kind = "outputs" if is_outputs(columns) else "arrays"
    about = "outputs of a model" if kind == "outputs" else "arrays"
    return FileContent(name, kind, f"{about}: {', '.join(columns)}", **_named(columns))


def _named(columns: Sequence[str]) -> dict[str, Any]:
    names = {role: recognise(role, columns) for role in ("label", "id", "text", "image")}
    return {"columns": tuple(columns), "recognised": {role: name for role, name in names.items() if name is not None}}


def _model(path: Path, kind: str) -> FileContent:
    if kind in REFUSALS:
        raise refusal(kind, path)
    role = "weights" if kind in ("safetensors", "state_dict") else "model"
    about = _CALLED[kind]
    is_adapter = kind == "peft"
    try:
        card = card_of(path, kind)
        output = output_of(path, kind)
    except OgaError as error:
        return FileContent(path.name, role, about, is_adapter=is_adapter, needs_card=True, problem=str(error))
    if card is None:
        about = f"{about}. {output}" if output else about
        return FileContent(path.name, role, about, is_adapter=is_adapter, needs_card=not is_adapter)
    about = f"{about}: {_about_card(card)}"
    about = f"{about}. {output}" if output else about
    return FileContent(path.name, role, about, is_adapter=is_adapter, card=card.to_json())


def _about_card(card: ModelCard) -> str:
    return f"{card.modality.replace('_', ' ')}, {len(card.classes)} classes" if card.classes else card.modality
