"""Change labels and leave out samples of image folders, WebDatasets and saved data sets, member by member."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterator, Set
from itertools import chain, count

import numpy as np

from oga_core.exports.columns import edited_arrow
from oga_core.exports.members import Member, folder_of_class
from oga_core.exports.rows import edited_table, replace_value
from oga_core.readers.archives import Archive
from oga_core.readers.archives.names import folded
from oga_core.readers.columns import candidates
from oga_core.readers.image_inputs import ImageInputs
from oga_core.readers.tables.saved import saved_files
from oga_core.review.edits import NO_EDITS, Edits
from oga_core.samples import SampleSet, Subset


def edited_members(archive: Archive, samples: SampleSet, edits: Edits) -> Iterator[Member]:
    """Yield the members of the archive that `samples` were read from, with the edits."""
    editors: dict[str, Callable[[Archive, SampleSet, Edits], Iterator[Member]]] = {
        "image_folder": _image_folder,
        "images_with_table": _images_with_table,
        "webdataset": _webdataset,
        "arrow": _saved_dataset,
    }
    return editors[samples.source.format](archive, samples, edits)


def _image_folder(archive: Archive, samples: SampleSet, edits: Edits) -> Iterator[Member]:
    """Move relabelled images to the folder of their class; a name that is taken gets the old class added."""
    prefix = samples.source.columns["folder"]
    taken = set(map(folded, archive.names))
    for name in archive.names:
        if name in edits.removed:
            continue
        target = name
        if name in edits.labels:
            old, _, rest = name.removeprefix(prefix).partition("/")
            target = f"{prefix}{folder_of_class(edits.labels[name])}/{rest}"
            if target != name:
                target = _free_name(target, old, taken)
                taken.add(folded(target))
        yield target, archive.read(name)


def _free_name(name: str, origin: str, taken: Set[str]) -> str:
    """Return a name that is not taken: this one, else with the class added that it comes from, else a number too."""
    stem, ending = posixpath.splitext(name)
    others = (f"{stem}_from_{origin}{number}{ending}" for number in chain([""], (f"_{n}" for n in count(2))))
    return next(other for other in chain([name], others) if folded(other) not in taken)


def _images_with_table(archive: Archive, samples: SampleSet, edits: Edits) -> Iterator[Member]:
    """Edit the table inside, and leave out the images whose rows were removed."""
    columns = samples.source.columns
    names = _member_names(samples)
    removed = {names[i] for i, key in enumerate(samples.ids) if key in edits.removed}
    for name in archive.names:
        if name == columns["table"]:
            yield name, b"".join(edited_table(archive.read(name), name, columns["label"], edits))
        elif name not in removed:
            yield name, archive.read(name)


def _member_names(samples: SampleSet) -> list[str]:
    """Return the member of the archive that holds each sample's image."""
    inputs = samples.inputs
    base = inputs.base if isinstance(inputs, Subset) else inputs
    places = inputs.indices if isinstance(inputs, Subset) else np.arange(len(samples))
    assert isinstance(base, ImageInputs)
    assert base.names is not None
    return [base.names[int(place)] for place in places]


def _webdataset(archive: Archive, samples: SampleSet, edits: Edits) -> Iterator[Member]:
    kind = samples.source.columns["label"]
    for name in archive.names:
        folder, file = posixpath.split(name)
        stem, _, ending = file.partition(".")
        key = posixpath.join(folder, stem)
        if key in edits.removed:
            continue
        content = archive.read(name)
        if key in edits.labels and ending.casefold() == kind:
            content = _label_file(content, kind, edits.labels[key])
        yield name, content


def _label_file(content: bytes, kind: str, label: str) -> bytes:
    """Return the content of a label's member with a new label."""
    if kind != "json":
        return label.encode()
    text = content.decode("utf-8-sig")
    return replace_value(text, candidates("label", list(json.loads(text)))[0], label).encode()


def _saved_dataset(archive: Archive, samples: SampleSet, edits: Edits) -> Iterator[Member]:
    """Edit the Arrow files of the part that was read; other parts and files stay."""
    saved = saved_files(archive)
    assert saved is not None
    state, files, _ = saved
    first_row: dict[str, int] = {}
    row = 0
    for name in files:
        first_row[name] = row
        row += edited_arrow(archive.read(name), None, NO_EDITS, 0)[1]
    for name in archive.names:
        content = archive.read(name)
        if name in first_row:
            content = edited_arrow(content, samples.source.columns.get("label"), edits, first_row[name])[0]
        elif name == state:
            content = json.dumps({**json.loads(content), "_fingerprint": samples.fingerprint[:16]}).encode()
        yield name, content
