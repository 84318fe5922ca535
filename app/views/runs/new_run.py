"""The form of a new run: data, columns, model, model card, options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from oga_app import cache, state
from oga_app.background import folders, jobs
from oga_app.elements import messages
from oga_app.server.uploads import FOLDER, MAX_FILE_MB, ROOM
from oga_app.state import Session
from oga_app.views.runs import again
from oga_app.views.runs.data_check import data_check
from oga_app.views.runs.model_card import lines, model_card
from oga_app.views.trained_tokens import choose_trained_on, look_before
from oga_core.errors import OgaError
from oga_core.samples import MODALITIES

if TYPE_CHECKING:
    from oga_core.models.card import ModelCard


def new_run(current: Session) -> None:
    """Draw the form; starts the scoring and opens the run."""
    again.banner()
    data = _file(
        current, "data", "Data", "File or folder: class folders, images with a table, CSV, JSONL, Parquet, outputs"
    )
    options: dict[str, Any] = {}
    if data is not None:
        options = _columns(current, data)
    about_data = st.container()
    outputs = st.checkbox(
        "The data is a bundle of outputs (features, logits, labels), so there is no model", key="no-model"
    )
    model = (
        None
        if outputs
        else _file(current, "model", "Model", "A .pt2, Hugging Face folder, adapter, .safetensors, .skops")
    )
    with st.expander("Model card", icon=":material/description:"):
        card = model_card()
        kept_card = again.kept("card")
    with st.expander("Options", icon=":material/tune:"):
        options |= _options(current)
    options["model_card"] = str(kept_card) if kept_card else None
    if data is not None and model is not None and _has_rows(data, options):
        messages.guarded(look_before)(data, model, card, options)
    name = st.text_input("Name of the run", _free_name(current), max_chars=80, key="run-name")
    is_sound = False
    if data is not None:
        with about_data:
            is_sound = data_check(data, options, _card(card, kept_card, model))
    ready = is_sound and (model is not None or outputs)
    if st.button("Start scoring", type="primary", disabled=not ready, key="start-run"):
        _start(current, name, data, model, card, options)
    if data is None or (model is None and not outputs):
        messages.quiet("Give the data and the model to start." if not outputs else "Give the data to start.")


def _has_rows(data: Path, options: Mapping[str, Any]) -> bool:
    """Whether the data may hold rows for a language model, by its columns."""
    table = cache.columns(data)
    return options.get("modality") == "causal_lm" or table.is_language or "text" in table.recognised


def _card(typed: str | None, upload: Path | None, model: Path | None) -> ModelCard | None:
    """The model's card, as far as it is known before the model is read; None where it is faulty or inside the model."""
    from oga_core.models.card import ModelCard, first_card

    try:
        card: str | bytes | None = typed
        if card is None and upload is not None:
            card = upload.read_bytes()
        return first_card(model) if card is None else ModelCard.from_json(card, "of this page")
    except (OgaError, OSError):
        return None


def _file(current: Session, role: str, label: str, help: str) -> Path | None:
    name = f"upload-{role}"
    if not current.settings.takes_paths:
        upload = st.file_uploader(f"{label} (up to {MAX_FILE_MB} MB)", key=name, help=help, max_upload_size=MAX_FILE_MB)
        return _uploaded(current, upload) or again.kept(role)
    typed = st.text_input(
        f"{label}: path on this machine", placeholder=f"/path/to/{role}", help=help, key=f"path-{role}",
    )  # fmt: skip
    with st.expander(f"Or upload (up to {MAX_FILE_MB} MB)"):
        upload = st.file_uploader(
            f"Upload the {role}", key=name, label_visibility="collapsed", max_upload_size=MAX_FILE_MB
        )
    if typed.strip():
        return _existing(current, typed)
    return _uploaded(current, upload) or again.kept(role)


def _path(current: Session, draw: Callable[..., str], label: str, key: str) -> str:
    """What is typed into a field for paths; nothing, and no field, where none may be typed."""
    return draw(label, key=key) if current.settings.takes_paths else ""


def _existing(current: Session, typed: str) -> Path | None:
    try:
        return current.settings.confined(typed)
    except OgaError as error:
        messages.problem(str(error))
        return None


def _uploaded(current: Session, uploaded: Any) -> Path | None:
    if uploaded is None:
        return None
    uploads: dict[str, str] = state.memory("uploads", {})
    if uploaded.file_id not in uploads:
        folder = ROOM.folder(state.id_of_tab(), current.settings.folder / FOLDER)
        uploads[uploaded.file_id] = str(jobs.save_upload(uploaded.name, uploaded, folder))
    return Path(uploads[uploaded.file_id])


def _columns(current: Session, data: Path) -> dict[str, Any]:
    options: dict[str, Any] = {}
    table = cache.columns(data)
    unclear = bool(table.names) and "label" not in table.recognised
    with st.expander("Columns and labels", icon=":material/table_rows:", expanded=unclear):
        labels = _path(current, st.text_input, "Table of labels beside the data (path)", key="labels-path")
        path = current.settings.confined(labels) if labels.strip() else again.kept("labels")
        if path is not None:
            options["labels"] = str(path)
            table = cache.columns(path)
        guess = table.recognised
        for role in ("label", "id", "text") if table.names else ():
            state.choose_among(f"column-{role}", table.names)
            column = st.selectbox(
                f"{role.capitalize()} column",
                table.names,
                index=None,
                placeholder=f"{guess[role]} (found by its name)" if role in guess else "none found by its usual names",
                key=f"column-{role}",
            )
            if column is not None:
                options[f"{role}_column"] = column
        modality = st.selectbox("Modality", MODALITIES, index=None, placeholder="found from the data", key="modality")
        if modality:
            options["modality"] = modality
    return options


def _options(current: Session) -> dict[str, Any]:
    from oga_core.projection import METHODS

    left, right = st.columns(2)
    state.default("option-seed", 0)
    state.default("option-params", "auto")
    options: dict[str, Any] = {
        "map": left.selectbox("Map", METHODS, key="option-map"),
        "seed": int(right.number_input("Seed", 0, 2**31 - 1, key="option-seed")),
        "device": left.selectbox("Device", ("auto", "cpu", "cuda", "mps"), key="option-device"),
        "parameters": right.text_input(
            "Parameters whose gradient is taken",
            help="auto, head, all, last:N, lora or pattern:REGEX",
            key="option-params",
        ).strip(),
    }
    most = left.number_input("At most this many samples", 1, None, None, placeholder="all", key="option-max")
    batch = right.number_input("Batch size", 1, None, None, placeholder="found from memory", key="option-batch")
    options |= {"max_samples": most and int(most), "batch_size": batch and int(batch)}
    validation = _path(
        current, st.text_input, "Clean validation data (path), for influence scores", key="option-validation"
    )
    clean = current.settings.confined(validation) if validation.strip() else again.kept("validation")
    options["validation"] = str(clean) if clean else None
    checkpoints = _path(
        current,
        st.text_area,
        "Checkpoints from earlier in training, oldest first, one path a line",
        key="option-checkpoints",
    )
    options["checkpoints"] = tuple(str(current.settings.confined(line)) for line in lines(checkpoints))
    options["trained_on"] = choose_trained_on()
    options["force"] = st.checkbox("Score even where the classes seem to be in another order", key="option-force")
    return options


def _start(
    current: Session, name: str, data: Path | None, model: Path | None, card: str | None, options: dict[str, Any]
) -> None:
    from oga_core.models.card import ModelCard
    from oga_core.pipeline.options import ScoreOptions

    run = current.settings.folder / folders.check_name(name)
    if (run / "run.json").exists():
        raise OgaError(f"There is a run {name!r} already. Choose another name, or open it and continue it.")
    assert data is not None
    if card is not None:
        ModelCard.from_json(card, "of this page")
        path = ROOM.folder(state.id_of_tab(), current.settings.folder / FOLDER) / "card.json"
        path.write_text(card, encoding="utf-8")
        options = {**options, "model_card": str(path)}
    current.settings.require_jail()
    jobs.start(data, model, run, ScoreOptions(**options), previous=again.previous())
    again.forget()
    current.open(run)
    st.rerun()


def _free_name(current: Session) -> str:
    names = {path.name for path in current.settings.runs()}
    number = 1
    while f"run {number}" in names:
        number += 1
    return f"run {number}"
