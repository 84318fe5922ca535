"""The documentation says what the program does: every option, every public name, and code that runs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import torch
from documents import run_blocks
from trainings import arguments, language_model, sums
from transformers import Trainer

import oga_core
from oga_app.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = dict(re.findall(r"^\| `oga (\w+)[^`]*` \| (.*) \|$", README, re.MULTILINE))
EVERYWHERE = {"--help", "--json"}  # of every command, told in a sentence below the table
PUBLIC = [name for name in oga_core.__all__ if not name.startswith("__")]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    return capsys.readouterr().out


def test_every_command_has_its_row(capsys):
    listed = re.findall(r"^ {4}(\w+) ", shown(capsys), re.MULTILINE)
    assert sorted(COMMANDS) == sorted(listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_the_options_that_its_row_lists(command, capsys):
    options = set(re.findall(r"^ +(--[\w-]+)|, (--[\w-]+)", shown(capsys, command), re.MULTILINE))
    offered = {name for pair in options for name in pair if name}
    assert set(re.findall(r"`(--[\w-]+)`", COMMANDS[command])) == offered - EVERYWHERE
    assert all(f"`{option}`" in README for option in EVERYWHERE)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_in_the_readme_and_says_what_it_returns(name):
    assert re.search(rf"\b(oga|oga_core)\.{name}\b|\bimport {name}\b", README)
    member = getattr(oga_core, name)
    assert len(inspect.getdoc(member) or "") > 40


def test_the_lines_that_package_a_model_and_that_score_after_training_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 2))
    trainer = Trainer(language_model(), arguments(tmp_path), train_dataset=sums())
    names = {"model": model, "example_batch": torch.rand(2, 3, 224, 224), "trainer": trainer}
    run_blocks(ROOT / "README.md", names, without="as oga")
    assert (tmp_path / "model.pt2").is_file()
    assert len(oga_core.open_run(tmp_path / "fine-tuning-run")) == len(sums())
