"""The losses of a language model's tokens, as the chat of a sample shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oga_app import cache
from oga_core.errors import OgaError
from oga_core.previews.heat import Heat, heat_of
from oga_core.runs.scored import ScoredRun

_MOST_REST = 5  # tokens outside of the messages that are named: the ends of turns


def shown(data: ScoredRun, row: int, messages: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The losses of a row's tokens as fields of a `SampleView`; empty where the run has none, or the model is gone."""
    losses = cache.evidence(data).token_losses(row)
    if not len(losses) or data.info.model.path is None:
        return {}
    try:
        tokens = cache.reader(data).tokens(row)["tokens"]
    except OgaError:
        return {}
    heat = heat_of(messages, tokens, losses.astype(float).tolist())
    return {} if heat is None else {"heat": heat.spans, "heat_note": _note(heat)}


def _note(heat: Heat) -> str:
    named = [f"{text.strip() or repr(text)} {loss:.2f}" for text, loss in heat.rest[:_MOST_REST]]
    beside = f" Not in the text: {', '.join(named)}." if named else ""
    return f"Together {heat.mean * heat.n_tokens:.1f} over {heat.n_tokens:,} tokens, {heat.mean:.2f} each.{beside}"
