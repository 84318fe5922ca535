"""Rows of language models for those who train on them: for each trainer in its form, or with a weight each."""

from __future__ import annotations

from oga_core.errors import OgaError


def require_language(modality: str) -> None:
    """Raise `OgaError` for data of another modality."""
    if modality not in ("causal_lm", "preference"):
        raise OgaError(
            f"This format is for rows that a language model is trained on, not for {modality} data. Export csv instead."
        )
