"""What a language model is trained on: the choice, and rows token by token before and after scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from oga_app import cache, state
from oga_app.elements import messages
from oga_app.elements import tokens as drawn
from oga_core.models.card import TRAINED_ON
from oga_core.previews.reader import TokenRequest
from oga_core.runs.scored import ScoredRun
from oga_core.runs.trained_input import TrainedInput

_SHOWN = 3  # rows at a time
_MARKS, _LOSS, _GRADIENT = _SHADES = ("what is trained on", "loss of each token", "gradient norm of each token")


def choose_trained_on() -> str | None:
    """Draw the choice; return one of `TRAINED_ON`, None where it follows from the rows."""
    return st.selectbox(
        "Trained on, of language-model rows",
        TRAINED_ON,
        index=None,
        placeholder="as the rows are",
        help="assistant: every turn of the assistant. last: its last turn. completion: what follows the prompt. all: "
        "every token. Otherwise completions, every turn of the assistant in conversations, and all of a plain text.",
        key="option-trained-on",
    )


def look_before(data: Path, model: Path, card: str | None, options: Mapping[str, Any]) -> None:
    """Draw the tokens of some rows of data that is not scored yet, when asked for."""
    if st.button("See what is trained on", icon=":material/ink_highlighter:", key="look-tokens"):
        state.remember("looked-tokens", str(data))
    if state.memory("looked-tokens", "") != str(data):
        return
    reading = ("labels", "label_column", "id_column", "text_column", "modality")
    first = int(st.number_input("From row", 0, None, 0, key="tokens-row"))
    request = TokenRequest(
        data=str(data),
        model=str(model),
        options={name: options[name] for name in reading if options.get(name)},
        model_card=card,
        trained_on=options.get("trained_on"),
        rows=tuple(range(first, first + _SHOWN)),
    )
    _show(request)


def look_after(data: ScoredRun, row: int) -> None:
    """Draw the tokens of a scored row, when asked for; nothing for runs that are not of a language model's file."""
    if data.modality != "causal_lm" or data.info.model.path is None:
        return
    if not st.toggle("Show what is trained on", key="review-tokens"):
        return
    seen = cache.reader(data).tokens(row)
    shade = st.segmented_control("Shade", _SHADES, default=_SHADES[0], required=True, key="review-token-shade")
    numbers = _numbers(data, row, shade)
    if len(numbers):
        drawn.heat_legend(shade, max(numbers))
    elif data.info.trained_input is not None:
        drawn.legend(data.info.trained_input.max_length)
    _row({**seen, "row": row, "id": str(data.ids[row])}, numbers)


def _numbers(data: ScoredRun, row: int, shade: str) -> list[float]:
    """What the trained tokens of a row are shaded by; none where they are only marked."""
    if shade == _LOSS:
        return [float(loss) for loss in cache.evidence(data).token_losses(row)]
    if shade == _GRADIENT:
        with st.spinner("One backward pass a token"):
            return list((cache.explainer(data).now(row) or {}).get("gradient_norms", ()))
    return []


def _show(request: TokenRequest) -> None:
    with st.spinner("Reading"):
        seen = cache.tokens(request)
    counts = TrainedInput(**seen["counts"])
    some = "" if counts.rows == seen["n_samples"] else f" Counted on {counts.rows:,} of {seen['n_samples']:,} rows."
    messages.note(" ".join(counts.sentences()) + some)
    drawn.legend(counts.max_length)
    if not seen["rows"]:
        messages.empty(f"There are {seen['n_samples']:,} rows. Choose a smaller number.")
    for row in seen["rows"]:
        _row(row)


def _row(row: Mapping[str, Any], numbers: Sequence[float] = ()) -> None:
    with st.container(border=True):
        messages.quiet(f"Row {row['row']:,} · {row['id']} · {row['n_tokens']:,} tokens")
        if row["unreadable"]:
            messages.problem(f"This row is left out: {row['unreadable']}.")
            return
        drawn.tokens(row["tokens"], numbers)
        if len(row["tokens"]) < row["n_tokens"]:
            messages.quiet(f"The first {len(row['tokens']):,} tokens are shown.")
        if row["remarks"]:
            messages.quiet(f"Not used as it is: {', '.join(row['remarks'])}.")
