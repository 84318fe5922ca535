"""The examples of the guide for contributors run as they stand, and change nothing for the tests after them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.nn.functional as F
from documents import python_blocks, run_blocks

from oga_core.exports import EXPORTS
from oga_core.gradients.hooks.gradient_capture import RULES
from oga_core.samples import LOSSES
from oga_core.scores import SCORES
from oga_core.tasks.losses import FUNCTIONS

GUIDE = Path(__file__).parents[1] / ".github" / "CONTRIBUTING.md"
EXAMPLES = ("score", "reader", "layer rule", "loss", "export")


@pytest.fixture
def unchanged_registries():
    """Give every registry back as it was."""
    before = [(registry, dict(registry)) for registry in (SCORES, EXPORTS, RULES, LOSSES, FUNCTIONS)]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


@pytest.mark.usefixtures("unchanged_registries")
def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert F.bilinear not in RULES  # else the example shows what is there
    calls = []
    names = run_blocks(GUIDE, {})
    rule = names["bilinear"]
    RULES[F.bilinear] = (RULES[F.bilinear][0], lambda *parts: calls.append(1) or rule(*parts))
    names["oga"].per_sample_gradients(names["Products"](4, 4, 3), (names["x"], names["y"]))
    assert calls


def test_there_is_an_example_of_each_that_fits_a_screen():
    text = GUIDE.read_text(encoding="utf-8")
    assert all(f"### Add a {kind}" in text or f"### Add an {kind}" in text for kind in EXAMPLES)
    assert len(list(python_blocks(GUIDE))) == 1 + len(EXAMPLES)
    assert max(source.count("\n") for _, source in python_blocks(GUIDE)) <= 40
