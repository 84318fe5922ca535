"""A new run: its files, what was read of them, its options, and the start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from oga_app import state
from oga_app.background import folders, jobs
from oga_app.elements import messages
from oga_app.server.uploads import FOLDER, ROOM
from oga_app.state import Session
from oga_app.views.runs import again
from oga_app.views.runs.columns import choose_columns
from oga_app.views.runs.data_check import data_check
from oga_app.views.runs.given import Given, given_files
from oga_app.views.runs.model_card import model_card
from oga_app.views.runs.trial import trial
from oga_app.views.trained_tokens import choose_trained_on, look_before
from oga_core.errors import OgaError
from oga_core.samples import MODALITIES


def new_run(current: Session) -> None:
    """Draw what a new run needs, from the files to the start, which opens it."""
    again.banner()
    given = given_files(current)
    if not given.files:
        messages.quiet("A data set and the model that was trained on it. What each file is, is told by its content.")
        return
    table = given.first("labels") or given.first("data")
    columns = st.container()
    about = st.container()
    needs_card = _needs_card(given)
    with st.expander("Model card", icon=":material/description:", expanded=needs_card):
        typed = model_card()
    with st.expander("Options", icon=":material/tune:"):
        options = _options()
    if table is not None:
        with columns:
            options |= choose_columns(table.content, options["modality"], _card(given, typed))
    options |= _files_of(given)
    with about:
        is_sound = messages.guarded(_is_sound)(given, options, typed)
    name = st.text_input("Name of the run", _free_name(current), max_chars=80, key="run-name")
    if st.button("Start scoring", type="primary", disabled=not is_sound, key="start-run"):
        _start(current, name, given, typed, options)


def _is_sound(given: Given, options: dict[str, Any], typed: str | None) -> bool:
    """Draw what was read, and what stands in the way of a start; whether nothing does."""
    data, model = given.first("data"), given.first("model")
    card = _card(given, typed)
    sound = data is not None and data_check(data.path, options, card)
    if data is None:
        messages.problem("None of these files is taken for the data. Drop them, or choose which file they are.")
    elif model is None and not given.is_outputs:
        messages.problem("None of these files is taken for the model. Drop it, or choose which file it is.")
        sound = False
    elif _needs_card(given) and typed is None:
        messages.problem(
            f"{model.name if model else ''} brings no model card that says its classes and how inputs are prepared. "
            "Drop the card's JSON file, or fill in “Model card” below."
        )
        sound = False
    elif data is not None:
        sound = _has_reference(given, data.content.are_pairs or options.get("modality") == "preference") and sound
    if data and model and model.content.kind != "outputs":
        if _has_rows(given, options):
            messages.guarded(look_before)(data.path, model.path, card, options)
        if sound:
            messages.guarded(trial)(data.path, model.path, card, options)
    return bool(sound)


def _has_reference(given: Given, are_pairs: bool) -> bool:
    """Whether there is a reference model where one is needed, and none where there is no use for it; else say so."""
    model = given.first("model")
    reference = given.first("reference")
    if reference is not None and not are_pairs:
        messages.problem(
            f"{reference.name} is taken for the reference model, which only preference pairs are measured against, "
            "and the data are none. Choose “Not used” beside it."
        )
    elif reference is None and are_pairs and model is not None and not model.content.is_adapter:
        messages.problem(
            f"Preference pairs are measured against the model before the training, and {model.name} is no adapter "
            "that could be switched off. Drop that model too and choose “Reference model” beside it, or give the PEFT "
            "adapter in place of the merged model."
        )
    else:
        return True
    return False


def _needs_card(given: Given) -> bool:
    """Whether the model cannot be loaded without a card, and none is among the files."""
    model = given.first("model")
    return model is not None and model.content.needs_card and given.first("card") is None


def _card(given: Given, typed: str | None) -> str | None:
    """The JSON of the card that will be used, as far as it is known before the model is loaded."""
    files = (given.first("card"), given.first("model"))
    return typed or next((file.content.card for file in files if file and file.content.card), None)


def _has_rows(given: Given, options: dict[str, Any]) -> bool:
    """Whether the data may hold rows for a language model, by their columns."""
    data = given.first("data")
    is_language = data is not None and (data.content.is_language or "text" in data.content.recognised)
    return options.get("modality") == "causal_lm" or is_language


def _files_of(given: Given) -> dict[str, Any]:
    roles = {"labels": "labels", "model_card": "card", "validation": "validation", "reference": "reference"}
    paths: dict[str, Path | None] = {option: given.path(role) for option, role in roles.items()}  # type: ignore[arg-type]
    return {option: str(path) if path else None for option, path in paths.items()} | {"checkpoints": given.checkpoints}


def _options() -> dict[str, Any]:
    from oga_core.gradients.options import PRECISIONS
    from oga_core.map.projection import METHODS

    left, right = st.columns(2)
    state.default("option-seed", 0)
    state.default("option-params", "auto")
    most = left.number_input("At most this many samples", 1, None, None, placeholder="all", key="option-max")
    batch = right.number_input("Batch size", 1, None, None, placeholder="found from memory", key="option-batch")
    return {
        "modality": left.selectbox(
            "Modality", MODALITIES, index=None, placeholder="found from the data", key="modality"
        ),
        "map": right.selectbox("Map", METHODS, key="option-map"),
        "device": left.selectbox("Device", ("auto", "cpu", "cuda", "mps"), key="option-device"),
        "precision": left.selectbox("Precision", PRECISIONS, key="option-precision"),
        "seed": int(right.number_input("Seed", 0, 2**31 - 1, key="option-seed")),
        "parameters": st.text_input(
            "Parameters whose gradient is taken",
            help="auto, head, all, last:N, lora or pattern:REGEX",
            key="option-params",
        ).strip(),
        "max_samples": most and int(most),
        "batch_size": batch and int(batch),
        "trained_on": choose_trained_on(),
        "force": st.checkbox("Score even where the classes seem to be in another order", key="option-force"),
    }


def _start(current: Session, name: str, given: Given, card: str | None, options: dict[str, Any]) -> None:
    from oga_core.models.card import ModelCard
    from oga_core.pipeline.options import ScoreOptions

    run = current.settings.folder / folders.check_name(name)
    if (run / "run.json").exists():
        raise OgaError(f"There is a run {name!r} already. Choose another name, or open it and continue it.")
    data = given.path("data")
    assert data is not None
    score_options = ScoreOptions(**again.unasked() | options)
    if card is not None:
        ModelCard.from_json(card, "of this page")
        path = ROOM.folder(state.id_of_tab(), current.settings.folder / FOLDER) / "card.json"
        path.write_text(card, encoding="utf-8")
        score_options = replace(score_options, model_card=str(path))
    current.settings.require_jail()
    jobs.start(data, given.path("model"), run, score_options, previous=again.previous())
    again.forget()
    current.open(run)
    st.rerun()


def _free_name(current: Session) -> str:
    names = {path.name for path in current.settings.runs()}
    number = 1
    while f"run {number}" in names:
        number += 1
    return f"run {number}"
