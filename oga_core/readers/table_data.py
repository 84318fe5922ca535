"""Text, tabular and language-model samples from any table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from oga_core.errors import OgaError, UnreadableSample
from oga_core.readers import language
from oga_core.readers.answers import preferences
from oga_core.readers.assembly import Draft, ReadOptions
from oga_core.readers.columns import candidates, choose, missing, recognise, some, text_pair
from oga_core.readers.image_inputs import ImageInputs, image_bytes
from oga_core.readers.tables.content import MappedRows
from oga_core.readers.tables.delimited import DELIMITERS
from oga_core.readers.tables.flags import flag_columns, flagged
from oga_core.readers.tables.table import Scan, Table, label_text, value_text
from oga_core.readers.tables.tagged import as_list, sentence_of, tag_texts, tagged_columns
from oga_core.samples import Modality, Problem, Source

MAX_COMPARED_TEXTS = 50_000  # hashed in about a second while a person waits


def read_table(table: Table, path: Path, options: ReadOptions, labels: Table | None) -> Draft:
    """Decide what kind of samples a table holds, by its columns and the options, and read them.

    labels: the table of labels given beside it, joined by the id column that both have.
    """
    image_column = getattr(table, "image_column", None)
    if image_column is not None and options.wants("image"):
        return _read_labelled(table, path, options, {"image": image_column}, labels)
    tagged = tagged_columns(table, options.label_column) if labels is None else None
    if tagged and options.wants("text"):
        return _read_tagged(table, path, options, tagged)
    shape = language.shape_of(table.columns)
    has_label = labels is not None or options.label_column is not None or bool(candidates("label", table.columns))
    if preferences.form_of(table.columns) and options.wants("preference"):
        return _read_preferences(table, path, options)
    if _is_language(table, options, shape, has_label):
        return _read_language(table, path, options, shape)
    text_columns = _text_columns(table, options) if options.wants("text") else ()
    if options.modality == "text" and not text_columns:
        raise missing("text", table.columns, table.name)
    if options.modality == "image":
        raise OgaError(
            f"{table.name} is a table. Give the folder or zip of the images as the data, and the table with --labels."
        )
    return _read_labelled(table, path, options, dict(zip(("text", "text_pair"), text_columns, strict=False)), labels)


def _is_language(table: Table, options: ReadOptions, shape: str | None, has_label: bool) -> bool:
    """Whether the rows are for a language model: asked for, of a known shape, or texts without labels."""
    if options.modality is not None:
        return options.modality == "causal_lm"
    if has_label and (shape is None or shape in language.LABELLED):
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
    option = options.text_column
    if option is not None and option not in table.columns and option.count(",") == 1:
        names = tuple(name.strip() for name in option.split(","))
        if set(names) <= set(table.columns):
            return names
    if option is None and (pair := text_pair(table.columns)):
        return pair
    column = _text_column(table, options)
    return (column,) if column else ()


def _read_preferences(table: Table, path: Path, options: ReadOptions) -> Draft:
    if options.labels is not None:
        raise OgaError(f"{table.name} holds preference pairs, which have no labels. Leave --labels out.")
    id_column = choose("id", table.columns, options.id_column, table.name)
    scan = table.scan([id_column] if id_column else [])
    draft = _draft(table, path, "preference", scan, id_column, {})
    draft.inputs = MappedRows(scan.rows, preferences.preference)
    return draft


def _read_language(table: Table, path: Path, options: ReadOptions, shape: str | None) -> Draft:
    if options.labels is not None:
        raise OgaError(f"{table.name} holds rows for a language model, which have no labels. Leave --labels out.")
    text_column = None
    if shape is None or options.text_column is not None:
        shape = "text"
        text_column = _text_column(table, options)
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
    table: Table, path: Path, options: ReadOptions, content: Mapping[str, str], labels: Table | None
) -> Draft:
    """Read rows that have labels; `content` maps the roles image, text and text_pair to their columns."""
    id_column = choose("id", table.columns, options.id_column, table.name)
    if labels is None and (flags := flag_columns(options.label_column, table.columns)):
        return _read_flagged(table, path, id_column, flags, content)
    if labels is None:
        label_column = choose("label", table.columns, options.label_column, table.name)
    else:
        label_column = recognise("label", table.columns)
    if label_column is None and labels is None:
        raise _no_label(table)
    scan = table.scan(list(dict.fromkeys(column for column in (id_column, label_column) if column)))
    roles = {**({"label": label_column} if label_column else {}), **content}
    modality: Modality = "image" if "image" in content else "text" if content else "tabular"
    draft = _draft(table, path, modality, scan, id_column, roles)
    if labels is not None:
        draft.source = replace(draft.source, labels_path=options.labels)
        draft.labels = _separate_labels(labels, options, draft, id_column, table)
    elif label_column is not None:
        _label(draft, table, label_column, scan.values[label_column])
    draft.inputs = _inputs(scan, content, id_column, label_column)
    if modality == "text":
        _note_contradictions(draft)
    return draft


def _read_flagged(
    table: Table, path: Path, id_column: str | None, flags: Sequence[str], content: Mapping[str, str]
) -> Draft:
    """Read rows whose labels are columns of 0 and 1."""
    scan = table.scan([*([id_column] if id_column else []), *flags])
    modality: Modality = "image" if "image" in content else "text" if content else "tabular"
    draft = _draft(table, path, modality, scan, id_column, {"label": ",".join(flags), **content})
    draft.labels = flagged(flags, [scan.values[name] for name in flags])
    draft.inputs = _inputs(scan, content, id_column, *flags)
    return draft


def _read_tagged(table: Table, path: Path, options: ReadOptions, columns: tuple[str, str]) -> Draft:
    """Read sentences with a tag for each word; a row whose lists do not belong together becomes a problem."""
    words, tags = columns
    id_column = choose("id", table.columns, options.id_column, table.name)
    scan = table.scan([*([id_column] if id_column else []), words, tags])
    draft = _draft(table, path, "text", scan, id_column, {"words": words, "label": tags})
    names = table.class_names.get(tags)
    draft.source = replace(draft.source, tag_names=names or ())
    read = as_list if table.format in DELIMITERS else _as_it_is
    sentences, tagged = ([read(value) for value in scan.values[column]] for column in columns)
    draft.labels, faults = tag_texts(sentences, tagged, names, columns)
    draft.problems += [Problem(draft.ids[i], int(scan.row_numbers[i]), fault) for i, fault in faults.items()]
    draft.inputs = MappedRows(scan.rows, lambda row: sentence_of({words: read(row.get(words))}, words))
    return draft


def _as_it_is(value: Any) -> Any:
    return value


def _inputs(scan: Scan, content: Mapping[str, str], *left_out: str | None) -> Sequence[Any]:
    if "image" in content:
        return ImageInputs(len(scan.rows), lambda i: image_bytes(scan.rows[i], content["image"]))
    if content:
        return MappedRows(scan.rows, _text_of(tuple(content.values())))
    return MappedRows(scan.rows, _features_of(*left_out))


def _note_contradictions(draft: Draft) -> None:
    """Note texts that are there twice with different labels; in a large set the scores must find them."""
    if draft.labels is None or len(draft.ids) > MAX_COMPARED_TEXTS:
        return
    labels: dict[bytes, set[str | None]] = {}
    for i, label in enumerate(draft.labels):
        with suppress(UnreadableSample):
            digest = blake2b(repr(draft.inputs[i]).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            labels.setdefault(digest, set()).add(label)
    if count := sum(len(names) > 1 for names in labels.values()):
        draft.notes.append(f"{count:,} text(s) are there more than once with different labels.")


def _draft(
    table: Table, path: Path, modality: Modality, scan: Scan, id_column: str | None, roles: Mapping[str, str]
) -> Draft:
    if id_column is not None:
        roles = {"id": id_column, **roles}
    return Draft(
        ids=_ids(scan, id_column),
        labels=None,
        inputs=scan.rows,
        rows=scan.rows,
        row_numbers=scan.row_numbers,
        modality=modality,
        source=Source(path, table.format, columns=roles),
        problems=[Problem(str(row), row, reason) for row, reason in scan.faults],
        notes=list(table.notes),
    )


def _ids(scan: Scan, id_column: str | None) -> list[str]:
    """Return the ids of the rows, their numbers where there is none."""
    numbers = [str(row) for row in scan.row_numbers.tolist()]
    if id_column is None:
        return numbers
    values = zip(scan.values[id_column], numbers, strict=True)
    return [number if value in (None, "") else str(value) for value, number in values]


def labels_in_order(table: Table, options: ReadOptions) -> list[str | None]:
    """Return the labels of a table in its order, for data whose rows have no ids."""
    column = choose("label", table.columns, options.label_column, table.name)
    if column is None and len(table.columns) == 1:
        column = table.columns[0]
    if column is None:
        raise missing("label", table.columns, table.name)
    scan = table.scan([column])
    if scan.faults:
        raise OgaError(
            f"{table.name}: {scan.faults[0][1]}. Every row must be readable, since rows are matched by order."
        )
    return [label_text(value) for value in scan.values[column]]


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
    label_of_id = dict(zip(map(str, scan.values[key]), map(label_text, scan.values[column]), strict=True))
    if len(label_of_id) < len(scan.values[key]):
        raise OgaError(f"{labels.name} gives some ids more than once in its column {key!r}. Keep one row for each id.")
    return [label_of_id.get(sample_id) for sample_id in draft.ids]


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


def _no_label(table: Table) -> OgaError:
    if recognise("image", table.columns) is not None:
        return OgaError(
            f"{table.name} names images but holds no labels that are recognised; it has {some(table.columns)}. "
            "Give the folder or zip of the images as the data, and this table with --labels and --label-column."
        )
    return missing("label", table.columns, table.name)
