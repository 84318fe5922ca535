"""Every architecture of the zoo is scored with the gradients that one backward pass a sample gives, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from architectures import ARCHITECTURES
from outcome import outcome

NO_FEATURES = "no last linear layer"  # where cosines, distances or sums make the logits
BY_VMAP = {"batch norm of the batch alone"}  # whose norm of one sample alone is another one


def test_names_are_unique() -> None:
    names = [architecture.name for architecture in ARCHITECTURES]
    assert len(names) == len(set(names)) >= 120


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_gradients_are_exact(architecture, tmp_path: Path) -> None:
    if not architecture.installed:
        pytest.skip(f"{architecture.package} is not installed")
    result = outcome(architecture, tmp_path)
    assert (result.result, result.coverage) == (architecture.expected, 1), result.note
    if not architecture.package and architecture.name not in BY_VMAP:
        assert not result.note or NO_FEATURES in result.note, "another method than hooks"
