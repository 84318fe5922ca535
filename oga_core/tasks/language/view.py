"""A row's tokens as a person can read them: each with its text and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oga_core.tasks.language.tokens import RowTokens

_CONTEXT = 6  # tokens before one that its text may depend on: a character of up to four bytes, a leading space
_UNFINISHED = "\ufffd"
MAX_SHOWN = 4_000
"""Tokens of a row that are shown; a page of more is slow, and the part that is cut need not be read to its end."""


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Return the text that each token adds to those before it; the bytes of one character come with its last token."""
    texts: list[str] = []
    written = 0  # the token up to which the text is whole
    for i in range(len(ids)):
        start = max(0, written - _CONTEXT)
        before = _decoded(tokenizer, ids[start:written])
        text = _decoded(tokenizer, ids[start : i + 1])
        unfinished = text.endswith(_UNFINISHED) and i - written < _CONTEXT and i + 1 < len(ids)
        texts.append("" if unfinished else text.removeprefix(before))
        written = written if unfinished else i + 1
    return texts


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def shown_tokens(tokenizer: Any, tokens: RowTokens, max_length: int) -> list[dict[str, Any]]:
    """Return text, trained, special and cut of each token, as JSON; at most `MAX_SHOWN`.

    trained: as far as it is within `max_length` and another stands before it to be predicted from.
    """
    ids = tokens.ids[:MAX_SHOWN]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return [
        {
            "text": text,
            "trained": tokens.trained[i] and 0 < i < max_length,
            "special": token in special,
            "cut": i >= max_length,
        }
        for i, (token, text) in enumerate(zip(ids, token_texts(tokenizer, ids), strict=True))
    ]
