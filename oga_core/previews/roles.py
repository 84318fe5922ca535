"""What files hold that a person gives at once, and what each of them is for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Role = Literal["data", "labels", "model", "reference", "card", "validation", "checkpoint", "unused"]
ROLES: tuple[Role, ...] = get_args(Role)

UNKNOWN, UNREAD = "unknown", "unread"
"""Kinds of a file that is nothing known, and of one that was not looked at since the process that looks was stopped."""
_MANY = ("checkpoint", "unused")  # roles that several files may have
_BARE_COLUMNS = 3  # id, label, and one more, such as who labelled it
_REFERENCE_WORDS = {"ref", "reference", "base", "sft", "before"}  # in the names of models that pairs are trained from


@dataclass(frozen=True)
class FileContent:
    """What a file or folder holds, told by its content.

    kind: samples (images, texts in an archive), table, arrays, labels (an array of one dimension), outputs, model,
    weights, card, unknown, or unread. about: a few words for a person. columns: of a table, or names of arrays;
    recognised: those taken for the label, the id, the text and the image by their usual names. is_language: whether
    they are those of rows for a language model; are_pairs: of preference pairs. is_adapter: whether the model is a PEFT
    adapter, which can be switched off. card: JSON of the card that the file is, or that the model brings. needs_card:
    whether the model cannot be loaded without one. problem: a sentence where it cannot be used.
    """

    name: str
    kind: str = UNKNOWN
    about: str = ""
    columns: tuple[str, ...] = ()
    recognised: Mapping[str, str] = field(default_factory=dict)
    is_language: bool = False
    are_pairs: bool = False
    is_adapter: bool = False
    card: str | None = None
    needs_card: bool = False
    n_bytes: int = 0
    problem: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FileContent:
        """Read what the worker sent; nothing of it but texts and flags is believed."""
        columns = tuple(map(str, content["columns"]))
        return cls(
            name=str(content["name"]),
            kind=str(content["kind"]),
            about=str(content["about"]),
            columns=columns,
            recognised={role: name for role, name in content["recognised"].items() if name in columns},
            is_language=content["is_language"] is True,
            are_pairs=content["are_pairs"] is True,
            is_adapter=content["is_adapter"] is True,
            card=None if content["card"] is None else str(content["card"]),
            needs_card=content["needs_card"] is True,
            problem=str(content["problem"]),
        )

    @property
    def is_bare(self) -> bool:
        """Whether it is a table of ids and labels and of nothing that a model could read."""
        few = self.kind == "table" and len(self.columns) <= _BARE_COLUMNS
        return few and "label" in self.recognised and "text" not in self.recognised and bool(self._key)

    @property
    def _key(self) -> str | None:
        return self.recognised.get("id", self.recognised.get("image"))


def roles_of(files: Sequence[FileContent], choices: Mapping[int, Role] | None = None) -> list[Role]:
    """Return what each file is for, by what they hold and what the others are.

    choices: by position what a person said; these stay, and no other file gets a role of which there is one. Of two
    files that could both be the data the larger one is; one whose name says validation or test is that, and beside
    preference pairs a model whose name says base or reference is that. What has no place is unused.
    """
    roles: dict[int, Role] = dict(choices or {})

    def give(places: Sequence[int], role: Role) -> None:
        for place in places:
            is_free = role in _MANY or role not in roles.values()
            roles.setdefault(place, role if is_free else "unused")

    def of_kind(*kinds: str) -> list[int]:
        return [i for i, each in enumerate(files) if each.kind in kinds and i not in roles]

    give(of_kind("card"), "card")
    models = of_kind("model")
    if any(each.are_pairs for each in files):
        others = len(models) - ("model" not in roles.values())
        give([i for i in models if _says_reference(files[i].name)][:others], "reference")
    give(of_kind("model"), "model")
    weights = sorted(of_kind("weights"), key=lambda i: _age(files[i].name))
    if "model" not in roles.values():
        give(weights[-1:], "model")
    give(of_kind("weights"), "checkpoint")
    give([*of_kind("labels"), *_label_tables(files, roles)], "labels")
    sources = of_kind("samples", "table", "arrays")
    if sources or "data" in roles.values():
        give(of_kind("outputs"), "model")
    sources = sorted(sources or of_kind("outputs"), key=lambda i: -files[i].n_bytes)
    give([i for i in sources if _says_validation(files[i].name)][: max(0, len(sources) - 1)], "validation")
    give(sources, "data")
    return [roles.get(i, "unused") for i in range(len(files))]


def roles_beside(
    files: Sequence[FileContent], data: FileContent | None, choices: Mapping[int, Role] | None = None
) -> list[Role]:
    """Return the same where there are data already, of an earlier run, which stay unless others are given.

    A table of labels for these data is that, though alone it would be taken for data.
    """
    alone = roles_of(files, choices)
    if data is None:
        return alone
    beside = roles_of([*files, data], {**(choices or {}), len(files): "data"})[:-1]
    all_fit = beside.count("unused") <= alone.count("unused")
    return beside if "labels" in beside and all_fit else alone


def _label_tables(files: Sequence[FileContent], roles: Mapping[int, Role]) -> list[int]:
    """The tables that label what another file holds: images, arrays, or rows that have no labels of their own."""
    tables = [i for i, each in enumerate(files) if each.kind == "table" and i not in roles]
    others = [each for i, each in enumerate(files) if roles.get(i, "data") in ("data", "validation")]
    if any(each.kind in ("samples", "arrays") for each in others):
        return sorted(tables, key=lambda i: ("label" not in files[i].recognised, files[i].n_bytes))
    bare = [i for i in tables if files[i].is_bare]
    has_rows = any(each.kind == "table" and not each.is_bare for each in others)
    return bare if has_rows else []


def _says_reference(name: str) -> bool:
    return not _REFERENCE_WORDS.isdisjoint(_words(name))


def _says_validation(name: str) -> bool:
    from oga_core.readers.columns import OTHER_SPLITS  # with all readers, which pages need nothing of

    return not _words(name).isdisjoint((*OTHER_SPLITS, "clean"))


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.casefold()))


def _age(name: str) -> tuple[bool, list[int], str]:
    """Checkpoints have numbers, which grow; the final weights often have none."""
    numbers = [int(digits) for digits in re.findall(r"\d+", name)]
    return not numbers, numbers, name
