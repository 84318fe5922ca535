"""Text, tabular and language-model samples from any table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError
from oga_core.readers import language
from oga_core.readers.arrow import image_bytes
from oga_core.readers.assembly import Draft, ReadOptions, label_text
from oga_core.readers.columns import candidates, choose, missing, recognise, some, text_pair
from oga_core.readers.images import ImageInputs, open_text_table
from oga_core.readers.tables import DELIMITERS, Scan, Table
from oga_core.samples import Modality, Problem, Source, UnreadableSample

MAX_COMPARED_TEXTS = 50_000


class MappedRows(Sequence[Any]):
    """A lazy sequence: a function of each row."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], function: Callable[[Mapping[str, Any]], Any]):
        self._rows, self._function = rows, function

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        return self._function(self._rows[i])


def read_table(table: Table, path: Path, options: ReadOptions) -> Draft:
    """Decide what kind of samples a table holds, by its columns and the options, and read them."""
    separate = open_text_table(options.labels, options.labels.name) if options.labels else None
    image_column = getattr(table, "image_column", None)
    if image_column is not None and options.wants("image"):
        return _read_labelled(table, path, options, (), separate, image_column)
    shape = language.shape_of(table.columns)
    has_label = separate is not None or options.label_column is not None or bool(candidates("label", table.columns))
    _refuse_preferences(table)
    if _is_language(table, options, shape, has_label):
        return _read_language(table, path, options, shape)
    text_columns = _text_columns(table, options) if options.wants("text") else ()
    if options.modality == "text" and not text_columns:
        raise missing("text", table.columns, table.name)
    if options.modality == "image":
        raise OgaError(
            f"{table.name} is a table. Give the folder or zip of the images as the data, and the table with --labels."
        )
    return _read_labelled(table, path, options, text_columns, separate)


def _is_language(table: Table, options: ReadOptions, shape: str | None, has_label: bool) -> bool:
    """Whether the rows are for a language model: asked for, of a known shape, or texts without labels."""
    if options.modality is not None:
        return options.modality == "causal_lm"
    if has_label and shape in (None, "question_answer"):
        return False
    if shape is not None:
        return True
    column = _text_column(table, options)
    others = set(table.columns) - {column, choose("id", table.columns, options.id_column, table.name)}
    return column is not None and (not others or table.format not in DELIMITERS)


def _text_column(table: Table, options: ReadOptions) -> str | None:
    return choose("text", table.columns, options.text_column, table.name)


def _text_columns(table: Table, options: ReadOptions) -> tuple[str, ...]:
    """Return one text column, the two of a pair, or none."""
    chosen = options.text_column
    if chosen is not None and chosen not in table.columns and chosen.count(",") == 1:
        names = tuple(name.strip() for name in chosen.split(","))
        if set(names) <= set(table.columns):
            return names
    if chosen is None and (pair := text_pair(table.columns)):
        return pair
    column = _text_column(table, options)
    return (column,) if column else ()


def _refuse_preferences(table: Table) -> None:
    if {"chosen", "rejected"} <= set(table.columns):
        raise OgaError(
            f"{table.name} holds preference pairs ('chosen', 'rejected'), which have no single loss. "
            "Give rows with 'prompt' and 'completion' (the chosen answer)."
        )


def _read_language(table: Table, path: Path, options: ReadOptions, shape: str | None) -> Draft:
    if options.labels is not None:
        raise OgaError(f"{table.name} holds rows for a language model, which have no labels. Leave --labels out.")
    text_column = None
    if shape is None or options.text_column is not None:
        shape, text_column = "text", _text_column(table, options)
        if text_column is None:
            raise missing("text", table.columns, table.name)
    id_column = choose("id", table.columns, options.id_column, table.name)
    scan = table.scan([id_column] if id_column else [])
    kind = shape
    draft = _draft(table, path, "causal_lm", scan, id_column, {"text": text_column} if text_column else {})
    if kind == "text" and options.modality is None:
        draft.notes.append(f"{table.name} has no column of labels; its texts are read for a language model.")
    draft.inputs = MappedRows(scan.rows, lambda row: language.normalise(row, kind, text_column))
    return draft


def _read_labelled(
    table: Table,
    path: Path,
    options: ReadOptions,
    text_columns: tuple[str, ...],
    separate: Table | None,
    image_column: str | None = None,
) -> Draft:
    id_column = choose("id", table.columns, options.id_column, table.name)
    if separate is None:
        label_column = choose("label", table.columns, options.label_column, table.name)
    else:
        label_column = recognise("label", table.columns)
    if label_column is None and separate is None:
        raise _no_label(table)
    scan = table.scan(list(dict.fromkeys(column for column in (id_column, label_column) if column)))
    roles = {
        "label": label_column,
        "image": image_column,
        **dict(zip(("text", "text_pair"), text_columns, strict=False)),
    }
    modality: Modality = "image" if image_column else "text" if text_columns else "tabular"
    draft = _draft(table, path, modality, scan, id_column, {role: name for role, name in roles.items() if name})
    if separate is not None:
        draft.source = replace(draft.source, labels_path=options.labels)
        draft.labels = _separate_labels(separate, options, draft, id_column, table)
    elif label_column is not None:
        _label(draft, table, label_column, scan.values[label_column])
    if image_column is not None:
        draft.inputs = ImageInputs(len(scan.rows), lambda i: image_bytes(scan.rows[i], image_column))
    elif text_columns:
        draft.inputs = MappedRows(scan.rows, _text_of(text_columns))
        _note_contradictions(draft)
    else:
        draft.inputs = MappedRows(scan.rows, _features_of(id_column, label_column))
    return draft


def _note_contradictions(draft: Draft) -> None:
    """Note texts that are there twice with different labels; in a large set the scores must find them."""
    if draft.labels is None or len(draft.ids) > MAX_COMPARED_TEXTS:
        return
    labels: dict[bytes, set[str | None]] = {}
    for i, label in enumerate(draft.labels):
        with suppress(UnreadableSample):
            digest = blake2b(repr(draft.inputs[i]).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            labels.setdefault(digest, set()).add(label)
    if count := sum(len(found) > 1 for found in labels.values()):
        draft.notes.append(f"{count:,} text(s) are there more than once with different labels.")


def _draft(
    table: Table, path: Path, modality: Modality, scan: Scan, id_column: str | None, roles: Mapping[str, str]
) -> Draft:
    ids = [str(row) for row in scan.row_numbers.tolist()]
    if id_column is not None:
        ids = [
            row if value in (None, "") else str(value) for value, row in zip(scan.values[id_column], ids, strict=True)
        ]
        roles = {"id": id_column, **roles}
    return Draft(
        ids=ids,
        labels=None,
        inputs=scan.rows,
        rows=scan.rows,
        row_numbers=scan.row_numbers,
        modality=modality,
        source=Source(path, table.format, columns=roles),
        problems=[Problem(str(row), row, reason) for row, reason in scan.faults],
        notes=list(table.notes),
    )


def _label(draft: Draft, table: Table, column: str, values: Sequence[Any]) -> None:
    names = table.class_names.get(column)
    if names is None:
        draft.labels = [label_text(value) for value in values]
        return
    draft.class_names = names
    draft.labels = [names[value] if isinstance(value, int) and 0 <= value < len(names) else None for value in values]


def _separate_labels(
    labels: Table, options: ReadOptions, draft: Draft, id_column: str | None, table: Table
) -> list[str | None]:
    """Join a table of labels by the id column that both tables have."""
    if id_column is None:
        raise OgaError(
            f"{table.name} has no id column, so {labels.name} cannot be joined to it. Choose one with --id-column."
        )
    key = id_column if id_column in labels.columns else recognise("id", labels.columns)
    if key is None:
        raise missing("id", labels.columns, labels.name, id_column)
    column = choose("label", labels.columns, options.label_column, labels.name)
    if column is None:
        raise missing("label", labels.columns, labels.name)
    scan = labels.scan([key, column])
    found = dict(zip(map(str, scan.values[key]), map(label_text, scan.values[column]), strict=True))
    if len(found) < len(scan.values[key]):
        raise OgaError(f"{labels.name} gives some ids more than once in its column {key!r}. Keep one row for each id.")
    return [found.get(sample_id) for sample_id in draft.ids]


def _text_of(columns: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Any]:
    def text(row: Mapping[str, Any]) -> Any:
        parts = tuple(row.get(column) for column in columns)
        for column, part in zip(columns, parts, strict=True):
            if not isinstance(part, str):
                raise UnreadableSample(f"its {column!r} is not a text")
        return parts[0] if len(parts) == 1 else parts

    return text


def _features_of(*left_out: str | None) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    def features(row: Mapping[str, Any]) -> dict[str, str]:
        return {name: value_text(value) for name, value in row.items() if name not in left_out}

    return features


def value_text(value: Any) -> str:
    """Return a table's value as text, as written where it was text; empty where it is missing."""
    return "" if value is None else value if isinstance(value, str) else label_text(value) or ""


def _no_label(table: Table) -> OgaError:
    if recognise("image", table.columns) is not None:
        return OgaError(
            f"{table.name} names images but holds no labels that are recognised; it has {some(table.columns)}. "
            "Give the folder or zip of the images as the data, and this table with --labels and --label-column."
        )
    return missing("label", table.columns, table.name)
