"""The files of a new run: dropped or by their paths, what each is taken for, and the control that corrects it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from oga_app import cache, state
from oga_app.background import jobs
from oga_app.elements import messages
from oga_app.server.uploads import FOLDER, MAX_FILE_MB, ROOM
from oga_app.state import Session
from oga_app.views.runs import again
from oga_core.errors import OgaError
from oga_core.previews.roles import ROLES, UNREAD, FileContent, Role, roles_beside

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_NAMES: dict[Role, str] = {
    "data": "Data",
    "labels": "Labels",
    "model": "Model",
    "reference": "Reference model",
    "card": "Model card",
    "validation": "Clean validation data",
    "checkpoint": "Checkpoint",
    "unused": "Not used",
}
_CHOSEN = "roles-chosen"  # by file, what a person said it is


@dataclass(frozen=True)
class GivenFile:
    """One file or folder of a new run. name: the person's own name for it; origin: where it is from, if not dropped."""

    id: str
    name: str
    path: Path
    content: FileContent
    role: Role = "unused"
    origin: str = ""


@dataclass(frozen=True)
class Given:
    """The files of a new run, each with its role."""

    files: tuple[GivenFile, ...] = ()

    def first(self, role: Role) -> GivenFile | None:
        """The file of this role, None where none was given."""
        return next((file for file in self.files if file.role == role), None)

    def path(self, role: Role) -> Path | None:
        """Where the file of this role is."""
        file = self.first(role)
        return file.path if file else None

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The paths of the checkpoints, in the order of the list."""
        return tuple(str(file.path) for file in self.files if file.role == "checkpoint")

    @property
    def is_outputs(self) -> bool:
        """Whether the data are the outputs of a model, so that no model is needed."""
        data = self.first("data")
        return data is not None and data.content.kind == "outputs"


def given_files(current: Session) -> Given:
    """Draw the place to drop files, the field for paths and the list of what was given."""
    uploads = st.file_uploader(
        "Drop the files here: data, labels, model, model card, checkpoints, reference model of preference pairs",
        accept_multiple_files=True,
        key="upload-files",
        max_upload_size=MAX_FILE_MB,
    )
    files = [*_dropped(current, uploads or []), *_typed(current)]
    choices: dict[str, Role] = state.memory(_CHOSEN, {})
    own = {i: choices[file.id] for i, file in enumerate(files) if file.id in choices}
    kept = again.kept_files().get("data")
    roles = roles_beside([file.content for file in files], cache.content(kept) if kept else None, own)
    files = [_with_role(file, role) for file, role in zip(files, roles, strict=True)]
    given = Given((*files, *_kept({file.role for file in files}, choices)))
    for file in given.files:
        _row(file, given)
    return given


def _dropped(current: Session, uploads: list[UploadedFile]) -> Iterator[GivenFile]:
    saved: dict[str, str] = state.memory("uploads", {})
    for upload in uploads:
        if upload.file_id not in saved:
            folder = ROOM.folder(state.id_of_tab(), current.settings.folder / FOLDER)
            saved[upload.file_id] = str(jobs.save_upload(upload.name, upload, folder))
        path = Path(saved[upload.file_id])
        yield GivenFile(upload.file_id, upload.name, path, cache.content(path))


def _typed(current: Session) -> Iterator[GivenFile]:
    """The files whose paths are typed, where paths may be."""
    if not current.settings.takes_paths:
        return
    with st.expander("Or give paths on this machine"):
        text = st.text_area(
            "Paths of files and folders, one a line",
            placeholder="/path/to/images.zip\n/path/to/model.pt2",
            help="Files of any size, and folders. What each is for is told by its content, as for files dropped above.",
            key="paths",
        )
    for line in filter(None, map(str.strip, (text or "").splitlines())):
        try:
            path = current.settings.confined(line)
        except OgaError as error:
            messages.problem(str(error))
            continue
        yield GivenFile(str(path), path.name, path, cache.content(path))


def _kept(taken: set[Role], choices: dict[str, Role]) -> Iterator[GivenFile]:
    """The files of the run that this one begins from, for which no others are given."""
    for role, path in again.kept_files().items():
        if role not in taken:
            file = GivenFile(f"kept-{role}", path.name, path, cache.content(path), origin=again.kept_from())
            yield _with_role(file, choices.get(file.id, role))


def _with_role(file: GivenFile, role: Role) -> GivenFile:
    return GivenFile(file.id, file.name, file.path, file.content, role, file.origin)


def _row(file: GivenFile, given: Given) -> None:
    """One line of the list: the file, what it holds, and what it is taken for."""
    key = f"role-{file.id}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(gap=None):
            messages.prose(file.name)
            messages.quiet(" · ".join(filter(None, (file.content.about, file.origin))) or "not recognised")
        state.choose(key, file.role)
        st.selectbox(
            messages.plain(f"What {file.name} is"),
            ROLES,
            format_func=_NAMES.__getitem__,
            key=key,
            on_change=_choose,
            args=(file.id, key),
            label_visibility="collapsed",
            width=200,
        )
    if file.content.problem and file.role != "unused":
        messages.problem(file.content.problem)
    elif file.role == "unused" and file.id not in state.memory(_CHOSEN, {}):
        messages.note(file.content.problem or _why_unused(file, given))
    if file.content.kind == UNREAD and st.button("Look again", key=f"again-{file.id}"):
        cache.look_again(file.path)
        st.rerun()


def _why_unused(file: GivenFile, given: Given) -> str:
    other: Any = given.first("model" if file.content.kind in ("model", "weights") else "data")
    beside = f" beside {other.name}" if other else ""
    return f"{file.name} has no place{beside}. Choose what it is, or leave it out."


def _choose(file: str, key: str) -> None:
    state.memory(_CHOSEN, {})[file] = state.value_of(key)
