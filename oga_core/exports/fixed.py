"""The fixed data set in the format it came in: relabelled rows changed, removed rows left out, all else untouched."""

from __future__ import annotations

import io
import json
import posixpath
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.exports.decided import Decided, Edits
from oga_core.exports.members import Member, write_members, write_tar, write_zip
from oga_core.exports.rows import edited_table, replace_value
from oga_core.files import write_whole
from oga_core.readers.archives import Archive, is_zip, open_archive
from oga_core.readers.arrays import NpzArrays, read_npy
from oga_core.readers.images import ImageInputs
from oga_core.samples import Source, Subset

TEXT_TABLES = ("csv", "tsv", "semicolon", "jsonl", "json")


def write_fixed(decided: Decided, out: Path) -> Path:
    """Write the fixed data set and return its path, which ends as the original does.

    Images with a table of labels beside them: the table alone, since it says which images belong and what they are.
    """
    source = decided.samples.source
    if source.labels_path is not None:
        return _write_with_labels(decided, out, source)
    if source.format in TEXT_TABLES:
        return _write_bytes(
            out, source.path, edited_table(source.path, source.path.name, _label(source), decided.edits)
        )
    if source.format in ("parquet", "outputs_parquet"):
        from oga_core.exports.columns import write_edited_parquet

        column = _label(source)
        target = _named(out, ".parquet")
        write_whole(target, lambda path: write_edited_parquet(source.path, path, column, decided.edits))
        return target
    if source.format in ("npz", "outputs_npz"):
        target = _named(out, ".npz")
        write_whole(target, lambda path: _write_npz(source, path, decided))
        return target
    if source.format == "arrow" and source.path.is_file() and not is_zip(source.path):
        from oga_core.exports.columns import edited_arrow

        content = edited_arrow(source.path.read_bytes(), source.path.name, _label(source), decided.edits, 0)[0]
        return _write_bytes(out, source.path, iter([content]))
    return _write_archive(decided, out, open_archive(source.path), _member_editor(decided))


MemberEditor = Callable[[Archive, Decided], Iterator[Member]]


def _member_editor(decided: Decided) -> MemberEditor:
    editors: dict[str, MemberEditor] = {
        "image_folder": _image_folder,
        "images_with_table": _images_with_table,
        "webdataset": _webdataset,
        "arrow": _saved_dataset,
    }
    return editors[decided.samples.source.format]


def _write_archive(decided: Decided, out: Path, archive: Archive, editor: MemberEditor) -> Path:
    members = editor(archive, decided)
    path = archive.path
    if path.is_dir():
        return write_members(out, members)
    if is_zip(path):
        target = _named(out, ".zip")
        write_zip(target, members)
        return target
    target = _named(out, ".tar" + path.name.partition(".tar")[2] if ".tar" in path.name else path.suffix)
    write_tar(target, members)
    return target


def _image_folder(archive: Archive, decided: Decided) -> Iterator[Member]:
    """Move relabelled images to the folder of their class; a name that is taken gets the old class added."""
    edits, prefix = decided.edits, decided.samples.source.columns["folder"]
    taken = set(archive.names)
    for name in archive.names:
        if name in edits.removed:
            continue
        target = name
        if name in edits.labels:
            old, _, rest = name.removeprefix(prefix).partition("/")
            target = f"{prefix}{edits.labels[name]}/{rest}"
            if target in taken and target != name:
                stem, ending = posixpath.splitext(target)
                target = f"{stem}_from_{old}{ending}"
            taken.add(target)
        yield target, archive.read(name)


def _images_with_table(archive: Archive, decided: Decided) -> Iterator[Member]:
    """Edit the table inside, and leave out the images whose rows were removed."""
    columns = decided.samples.source.columns
    names = _member_names(decided)
    gone = {names[i] for i, key in enumerate(decided.samples.ids) if key in decided.edits.removed}
    for name in archive.names:
        if name == columns["table"]:
            yield name, b"".join(edited_table(archive.read(name), name, columns["label"], decided.edits))
        elif name not in gone:
            yield name, archive.read(name)


def _webdataset(archive: Archive, decided: Decided) -> Iterator[Member]:
    edits, kind = decided.edits, decided.samples.source.columns["label"]
    for name in archive.names:
        folder, file = posixpath.split(name)
        stem, _, ending = file.partition(".")
        key = posixpath.join(folder, stem)
        if key in edits.removed:
            continue
        content = archive.read(name)
        if key in edits.labels and ending.casefold() == kind:
            content = _new_label_file(content, kind, edits.labels[key])
        yield name, content


def _new_label_file(content: bytes, kind: str, label: str) -> bytes:
    if kind != "json":
        return label.encode()
    from oga_core.readers.columns import candidates

    text = content.decode("utf-8-sig")
    return replace_value(text, candidates("label", list(json.loads(text)))[0], label).encode()


def _saved_dataset(archive: Archive, decided: Decided) -> Iterator[Member]:
    """Edit the Arrow files of the part that was read; other parts and files stay."""
    from oga_core.exports.columns import edited_arrow
    from oga_core.readers.arrow import saved_files

    found = saved_files(archive)
    assert found is not None
    state, files, _ = found
    first_row = {}
    row = 0
    for name in files:
        first_row[name] = row
        row += edited_arrow(archive.read(name), name, None, Edits({}, frozenset(), {}, frozenset()), 0)[1]
    for name in archive.names:
        content = archive.read(name)
        if name in first_row:
            content = edited_arrow(content, name, _label(decided.samples.source), decided.edits, first_row[name])[0]
        elif name == state:
            content = json.dumps({**json.loads(content), "_fingerprint": decided.samples.fingerprint[:16]}).encode()
        yield name, content


def _write_with_labels(decided: Decided, out: Path, source: Source) -> Path:
    """Write the edited labels, and where rows are matched by them, the data without the removed rows beside."""
    assert source.labels_path is not None
    labels = source.labels_path
    if source.format == "images_with_table":
        content = edited_table(labels, labels.name, source.columns["label"], decided.edits)
        return _write_bytes(out, labels, content)
    return write_members(out, _data_and_labels(decided, source, labels))


def _data_and_labels(decided: Decided, source: Source, labels: Path) -> Iterator[Member]:
    kept = _kept_rows(decided)
    if source.format in ("npy", "npz", "outputs_npz"):
        if source.format == "npy":
            yield source.path.name, _npy_bytes(read_npy(source.path)[kept(len(read_npy(source.path)))])
        else:
            file = io.BytesIO()
            _write_npz(source, file, decided)
            yield source.path.name, file.getvalue()
        if labels.suffix.casefold() == ".npy":
            yield (
                labels.name,
                _npy_bytes(_edited_labels(read_npy(labels), decided.edits, None)[kept(len(read_npy(labels)))]),
            )
        else:
            yield labels.name, b"".join(_labels_by_id(labels, decided, by_row=True))
        return
    if source.format not in TEXT_TABLES:
        raise OgaError(f"{source.path.name} with labels beside it cannot be written back. Export it as csv or parquet.")
    gone = Edits({}, frozenset(), {}, decided.edits.removed_rows)
    yield source.path.name, b"".join(edited_table(source.path, source.path.name, None, gone))
    yield labels.name, b"".join(_labels_by_id(labels, decided, by_row=False))


def _labels_by_id(labels: Path, decided: Decided, *, by_row: bool) -> Iterator[bytes]:
    from oga_core.readers.columns import choose, recognise
    from oga_core.readers.images import open_text_table

    table = open_text_table(labels, labels.name)
    column = choose("label", table.columns, decided.run.info.data.options.get("label_column"), labels.name)
    column = column or table.columns[0]
    if by_row:
        return edited_table(labels, labels.name, column, decided.edits)
    wanted = decided.samples.source.columns["id"]
    key = wanted if wanted in table.columns else recognise("id", table.columns)
    assert key is not None
    scan = table.scan([key])
    row_of = dict(zip(map(str, scan.values[key]), scan.row_numbers.tolist(), strict=True))
    edits = decided.edits
    label_of_row = {row_of[sample_id]: label for sample_id, label in edits.labels.items()}
    removed_rows = frozenset(row_of[sample_id] for sample_id in edits.removed)
    return edited_table(labels, labels.name, column, Edits({}, frozenset(), label_of_row, removed_rows))


def _write_npz(source: Source, file: Path | io.BytesIO, decided: Decided) -> None:
    arrays = NpzArrays(source.path)
    key = source.columns.get("data") or "logits"
    n_samples = len(arrays[key])
    kept = _kept_rows(decided)(n_samples)
    label_key = None if source.labels_path else _label(source)
    names = decided.samples.source.columns
    per_row = {name for name in arrays if arrays[name].ndim and len(arrays[name]) == n_samples}
    per_row -= {
        name for name in ("classes", "class_names", "target_names", "feature_names") if name not in names.values()
    }
    result = {}
    for name in arrays:
        array = arrays[name]
        if name == label_key:
            array = _edited_labels(array, decided.edits, _class_names(arrays))
        result[name] = array[kept] if name in per_row else array
    with zipfile.ZipFile(source.path) as archive:
        is_packed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    save = np.savez_compressed if is_packed else np.savez
    if isinstance(file, io.BytesIO):
        save(file, allow_pickle=False, **result)
    else:
        with file.open("wb") as handle:
            save(handle, allow_pickle=False, **result)


def _class_names(arrays: NpzArrays) -> list[str] | None:
    from oga_core.readers.arrays import CLASS_NAMES

    key = arrays.find(CLASS_NAMES)
    return [str(name) for name in arrays[key].tolist()] if key else None


def _edited_labels(labels: NDArray[Any], edits: Edits, class_names: Sequence[str] | None) -> NDArray[Any]:
    """Change labels in their own type: numbers stay numbers, texts grow where they must."""
    flat = labels.reshape(-1).tolist()
    for row, label in edits.label_of_row.items():
        if labels.dtype.kind in "USO":
            flat[row] = label if labels.dtype.kind == "U" else label.encode()
        elif class_names is not None and label in class_names:
            flat[row] = class_names.index(label)
        else:
            flat[row] = _number(label)
    kind = labels.dtype if labels.dtype.kind not in "US" else None
    return np.array(flat, dtype=kind).reshape(labels.shape)


def _number(label: str) -> float:
    try:
        return int(label) if label.lstrip("-").isdecimal() else float(label)
    except ValueError:
        raise OgaError(
            f"The labels of the data are numbers, and the new label {label!r} is none. Export a table instead."
        ) from None


def _kept_rows(decided: Decided) -> Callable[[int], NDArray[np.int64]]:
    removed = decided.edits.removed_rows
    return lambda n_rows: np.array([row for row in range(n_rows) if row not in removed], dtype=np.int64)


def _npy_bytes(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _member_names(decided: Decided) -> list[str]:
    """The member of the archive that holds each sample's image."""
    inputs = decided.samples.inputs
    base, places = (inputs.base, inputs.indices) if isinstance(inputs, Subset) else (inputs, np.arange(len(inputs)))
    assert isinstance(base, ImageInputs)
    assert base.names is not None
    return [base.names[int(place)] for place in places]


def _label(source: Source) -> str | None:
    return source.columns.get("label")


def _write_bytes(out: Path, like: Path, content: Iterator[bytes]) -> Path:
    target = _named(out, like.suffix)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(content)

    write_whole(target, write)
    return target


def _named(out: Path, suffix: str) -> Path:
    return out if out.suffix else out.with_name(out.name + suffix)
