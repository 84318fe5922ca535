"""A bundle of a model's outputs, for people whose model is not PyTorch: features, logits and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oga_core.errors import OgaError
from oga_core.readers.archives.archive import is_zip
from oga_core.readers.archives.zip_file import Zip
from oga_core.readers.assembly import Draft, ReadOptions
from oga_core.readers.columns import missing, some
from oga_core.readers.npy import CLASS_NAMES, ID_NAMES, LABEL_NAMES, NpzArrays, label_list
from oga_core.readers.tables.arrow import ParquetTable
from oga_core.readers.tables.content import MappedRows
from oga_core.readers.tables.parquet_matrix import ParquetMatrix
from oga_core.samples import Problem, SampleSet, Source, Subset

FEATURES = "features"
LOGITS = "logits"
PROBABILITIES = ("probabilities", "pred_probs")
"""In place of logits, as `predict_proba` of a tree or of boosting gives them; the second is cleanlab's name."""
_HELD_BYTES = 1 << 28
"""Of features in a Parquet file that are held in memory; of more, the rows that are asked for are read."""
_SUM_TOLERANCE = 1e-2  # of probabilities in float16, of a thousand classes
_LEAST = 1e-12  # of a probability, so that its logarithm is finite


@dataclass(frozen=True, eq=False)
class OutputsBundle:
    """Outputs of a trained classifier, one row a sample.

    features: `(n_samples, n_features)`, the inputs of the last linear layer, None where there is none; logits:
    `(n_samples, n_classes)`, before the softmax, or logarithms of probabilities; labels: class names or indices as
    text; classes: the names in the order of the logits.
    columns: the arrays or columns that play the roles label and id, and in an `.npz` data.
    """

    ids: NDArray[np.object_] | None
    features: NDArray[np.floating[Any]] | None
    logits: NDArray[np.floating[Any]]
    labels: NDArray[np.object_] | None
    classes: tuple[str, ...] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.logits)


class OutputRows(Sequence[Any]):
    """The inputs of samples of modality `outputs`: {"features": (n_features,), "logits": (n_classes,)}, or the last."""

    def __init__(self, bundle: OutputsBundle):
        self.bundle = bundle

    def __len__(self) -> int:
        return len(self.bundle)

    def __getitem__(self, i: Any) -> Any:
        logits = {LOGITS: self.bundle.logits[i].astype(np.float32)}
        if self.bundle.features is None:
            return logits
        return {FEATURES: self.bundle.features[i].astype(np.float32), **logits}


def read_outputs(path: Path | str) -> OutputsBundle:
    """Read `logits` or `probabilities`, and `features`, `labels`, `ids` and `classes` if there, from `.npz` or Parquet.

    Raises `OgaError` naming what is of another shape or kind.
    """
    path = Path(path)
    bundle = _from_npz(NpzArrays(Zip(path))) if is_zip(path) else _from_parquet(ParquetTable(path))
    for what, values in ((FEATURES, bundle.features), (LOGITS, bundle.logits)):
        if values is None:
            continue
        if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
            raise OgaError(
                f"'{what}' in {path.name} must be numbers of shape (samples, n). Got {values.dtype} {values.shape}."
            )
    for what, column in ((FEATURES, bundle.features), ("labels", bundle.labels), ("ids", bundle.ids)):
        if column is not None and len(column) != len(bundle):
            raise OgaError(
                f"{path.name} has {len(bundle):,} rows of logits but {len(column):,} of {what}. Make them equal."
            )
    n_classes = bundle.logits.shape[1]
    if bundle.classes is not None and len(bundle.classes) != n_classes:
        raise OgaError(f"{path.name} names {len(bundle.classes)} classes but its logits have {n_classes} columns.")
    return bundle


def outputs_of(samples: SampleSet, path: Path) -> OutputsBundle:
    """Return the bundle in `path`, which is not read again where the samples are its own."""
    inputs = samples.inputs
    while isinstance(inputs, Subset):
        inputs = inputs.base
    if isinstance(inputs, OutputRows) and samples.source.path == path:
        return inputs.bundle
    return read_outputs(path)


def read_output_samples(path: Path, options: ReadOptions, labels: Sequence[str | None] | None) -> Draft:
    """Read a bundle as samples of modality `outputs`; rows with numbers that are not finite are problems.

    labels: those given beside the bundle, in its order; they stand over its own.
    """
    bundle = read_outputs(path)
    if labels is not None:
        columns = {role: name for role, name in bundle.columns.items() if role != "label"}
        bundle = replace(bundle, labels=np.array(labels, dtype=object), columns=columns)
    if bundle.labels is None:
        raise OgaError(f"{path.name} has no 'labels'. Add the given label of every row, or give them with --labels.")
    if len(bundle.labels) != len(bundle):
        raise OgaError(f"{path.name} has {len(bundle):,} rows but {len(bundle.labels):,} labels. Make them equal.")
    return _draft(bundle, path, options)


def _draft(bundle: OutputsBundle, path: Path, options: ReadOptions) -> Draft:
    notes: list[str] = []
    labels, classes = _class_labels(bundle, path.name, notes)
    ids = [str(i) for i in range(len(bundle))] if bundle.ids is None else [str(value) for value in bundle.ids]
    finite = _finite_rows(bundle.logits)
    if bundle.features is not None:
        finite &= _finite_rows(bundle.features)
    rows = np.flatnonzero(finite)
    format = "outputs_npz" if is_zip(path) else "outputs_parquet"
    return Draft(
        ids=[ids[i] for i in rows],
        labels=[labels[i] for i in rows],
        inputs=Subset(OutputRows(bundle), rows),
        rows=Subset(MappedRows(range(len(ids)), lambda i: {"id": ids[i], "label": labels[i]}), rows),
        row_numbers=rows,
        modality="outputs",
        source=Source(path, format, labels_path=options.labels, columns=bundle.columns),
        class_names=classes,
        problems=[Problem(ids[i], int(i), "its features or logits are not finite") for i in np.flatnonzero(~finite)],
        notes=notes,
    )


def is_outputs(names: Sequence[str]) -> bool:
    """Whether arrays or columns of these names are a bundle of outputs."""
    return any(name in names for name in (LOGITS, *PROBABILITIES))


def _from_npz(arrays: NpzArrays) -> OutputsBundle:
    logits = next((name for name in (LOGITS, *PROBABILITIES) if name in arrays), None)
    if logits is None:
        raise OgaError(
            f"{arrays.name} has no array 'logits' or 'probabilities'; it has {some(sorted(arrays))}. An outputs bundle "
            "needs one of them."
        )
    label_key = arrays.first(LABEL_NAMES)
    id_key = arrays.first(ID_NAMES)
    ids = arrays.texts(id_key)
    class_names = arrays.texts(arrays.first(CLASS_NAMES))
    return OutputsBundle(
        ids=None if ids is None else np.array(ids, dtype=object),
        features=arrays.get(FEATURES),
        logits=_as_logits(arrays[logits], logits, arrays.name),
        labels=np.array(label_list(arrays[label_key], arrays.name), dtype=object) if label_key else None,
        classes=None if class_names is None else tuple(class_names),
        columns={"data": logits, **_roles(label_key, id_key)},
    )


def _from_parquet(table: ParquetTable) -> OutputsBundle:
    logits = next((name for name in (LOGITS, *PROBABILITIES) if name in table.columns), None)
    if logits is None:
        raise missing(LOGITS, table.columns, table.name, LOGITS)
    label_key = next((name for name in LABEL_NAMES if name in table.columns), None)
    id_key = next((name for name in ID_NAMES if name in table.columns), None)
    values = table.scan([name for name in (label_key, id_key) if name]).values
    labels = np.empty(0) if label_key is None else np.array(values[label_key], dtype=object)
    return OutputsBundle(
        ids=None if id_key is None else np.array([str(value) for value in values[id_key]], dtype=object),
        features=_features(table) if FEATURES in table.columns else None,
        logits=_as_logits(ParquetMatrix(table, logits)[:], logits, table.name),
        labels=None if label_key is None else np.array(label_list(labels, table.name), dtype=object),
        classes=table.class_names.get(label_key or ""),
        columns=_roles(label_key, id_key),
    )


def _as_logits(values: NDArray[Any], name: str, origin: str) -> NDArray[Any]:
    """Logits as they are, of probabilities their logarithms; raises `OgaError` for what are none."""
    if name == LOGITS or values.ndim != 2 or values.dtype.kind not in "fiu":
        return values
    known = np.isfinite(values).all(axis=1)
    sums = values[known].sum(axis=1)
    if (values[known] < 0).any() or (np.abs(sums - 1) > _SUM_TOLERANCE).any():
        raise OgaError(
            f"{name!r} in {origin} must be probabilities: numbers from 0 to 1 that add up to 1 in every row. Numbers "
            "before the softmax are to be named 'logits'."
        )
    return np.log(np.maximum(values, _LEAST)).astype(np.float32)


def _roles(label_key: str | None, id_key: str | None) -> dict[str, str]:
    return {role: name for role, name in (("label", label_key), ("id", id_key)) if name}


def _features(table: ParquetTable) -> Any:
    """The features in memory; of many what reads them row group by row group."""
    matrix = ParquetMatrix(table, FEATURES)
    return matrix[:] if matrix.nbytes <= _HELD_BYTES else matrix


def _class_labels(bundle: OutputsBundle, name: str, notes: list[str]) -> tuple[list[str | None], tuple[str, ...]]:
    """Name the labels in the order of the logits; numbers must run from 0."""
    assert bundle.labels is not None
    labels: list[str | None] = list(bundle.labels)
    used = {label for label in labels if label}
    n_classes = bundle.logits.shape[1]
    classes = bundle.classes
    if classes is not None and used <= set(classes):
        return labels, classes
    if all(label.isascii() and label.isdecimal() for label in used):
        largest = max(map(int, used), default=0)
        if largest >= n_classes:
            hint = " They seem to start at 1: subtract 1." if largest == n_classes and "0" not in used else ""
            raise OgaError(
                f"Labels in {name} must be 0 to {n_classes - 1}, one a column of the logits. Got {largest}.{hint}"
            )
        classes = classes or tuple(map(str, range(n_classes)))
        return [None if not label else classes[int(label)] for label in labels], classes
    if classes is None and len(used) == n_classes:
        notes.append("The columns of the logits are taken to be in the alphabetical order of the labels.")
        return labels, tuple(sorted(used))
    raise OgaError(
        f"{name} does not say which column of the logits is which label. "
        "Add an array 'classes' with the class names in the order of the logits."
    )


def _finite_rows(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether all numbers of a row are finite, without a copy of the whole array."""
    result = np.empty(len(values), dtype=bool)
    for start in range(0, len(values), 8_192):
        result[start : start + 8_192] = np.isfinite(values[start : start + 8_192]).all(axis=1)
    return result


def class_names(bundle: OutputsBundle, samples: SampleSet, card_classes: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each logit: those of a model card, else numbers, else the samples' own."""
    n_logits = bundle.logits.shape[1]
    if card_classes:
        names = tuple(card_classes)
    elif all(name.isdecimal() and int(name) < n_logits for name in samples.class_names):
        names = tuple(map(str, range(n_logits)))
    else:
        names = samples.class_names
    if len(names) != n_logits:
        raise OgaError(
            f"The outputs have {n_logits} logits a sample and there are {len(names)} classes. "
            "List every class in a model card, in the order of the logits."
        )
    return names


def aligned(
    bundle: OutputsBundle, samples: SampleSet, path: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return logits and features in the order of the samples: by id where the bundle has ids, else by row."""
    if bundle.ids is not None:
        position = {str(sample_id): i for i, sample_id in enumerate(bundle.ids)}
        absent = [sample_id for sample_id in samples.ids if sample_id not in position]
        if absent:
            raise OgaError(f"{path.name} has no outputs for {len(absent)} sample(s), the first is {absent[0]!r}.")
        rows = np.array([position[sample_id] for sample_id in samples.ids], dtype=np.int64)
    else:
        rows = samples.row_numbers
        if rows.max() >= len(bundle.logits):
            raise OgaError(f"{path.name} has {len(bundle.logits)} rows and the data more. Give both the same ids.")
    if np.array_equal(rows, np.arange(len(bundle))):
        return bundle.logits, bundle.features
    return bundle.logits[rows], None if bundle.features is None else bundle.features[rows]
