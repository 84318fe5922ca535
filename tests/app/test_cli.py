import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from here import without_workers

import oga_sample_data
from oga_app.cli import _parser, main
from oga_core.models.architectures import Linear

SAMPLE_DATA = Path(oga_sample_data.__file__).parent
ROOT = Path(__file__).parents[2]


class Done(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def oga(capsys) -> Callable[..., Done]:
    """The command line in this process: a process of its own would import everything anew."""

    def run(*words: object) -> Done:
        try:
            status = main(list(map(str, words)))
        except SystemExit as end:
            status = int(end.code or 0)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run made by the real command, in a process of its own and with a worker."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    command = [
        sys.executable, "-m", "oga_app.cli", "score", SAMPLE_DATA / "tumours.csv", "--model",
        SAMPLE_DATA / "tumours.pt2", "--label-column", "diagnosis", "--run", folder, "--map", "none",
        "--scores", "loss,margin", "--json",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["n_samples"] == 569
    assert "gradients" in done.stderr
    return folder


def test_evaluate_prints_the_detection_metrics(run, oga):
    done = oga("evaluate", run, "--truth", SAMPLE_DATA / "tumours_truth.csv", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["loss"]["ap"] > 0.8


def test_export_writes_our_table(run, tmp_path, oga):
    done = oga("export", run, "--format", "csv", "--out", tmp_path / "table.csv")
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "table.csv").read_text().splitlines()[0].split(",")
    assert {"is_label_issue", "label_score", "given_label", "predicted_label", "action"} <= set(header)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score", "nowhere.csv", "--run", "r"], "'nowhere.csv' does not exist"),
        (["score", SAMPLE_DATA / "tumours.csv", "--run", "{tmp}/r", "--map", "none"], "no column 'label'"),
        (["export", "nowhere", "--format", "csv", "--out", "x"], "is not a run folder"),
        (["evaluate", "nowhere", "--truth", "x"], "is not a run folder"),
        (["verify", "nowhere"], "is not a run folder"),
        (["app", "nowhere"], "does not exist"),
        (["score"], "required: DATA"),
        (["dance"], "invalid choice: 'dance'"),
        ([], "required: COMMAND"),
    ],
)
def test_wrong_input_is_one_message_and_exit_status_2(words, message, tmp_path, oga):
    with without_workers():
        done = oga(*[str(word).format(tmp=tmp_path) for word in words])
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_that_do_not_fit_their_card_are_the_input_s_fault(tmp_path, oga):
    torch.save(Linear(9, 2).state_dict(), tmp_path / "linear.pt")
    card = {"modality": "tabular", "classes": ["malignant", "benign"], "input": {"features": ["mean radius"]}}
    (tmp_path / "linear.json").write_text(json.dumps(card))
    data = tmp_path / "data.csv"
    data.write_text("mean radius,diagnosis\n" + "".join(f"{i},{('malignant', 'benign')[i % 2]}\n" for i in range(8)))
    with without_workers():
        done = oga(
            "score",
            data,
            "--model",
            tmp_path / "linear.pt",
            "--label-column",
            "diagnosis",
            "--run",
            tmp_path / "run",
            "--map",
            "none",
        )
    assert done.returncode == 2, done.stderr
    assert "The model fails on these inputs" in done.stderr
    assert "(8, 1)" in done.stderr
    assert "Traceback" not in (tmp_path / "run" / "run.json").read_text()


def test_a_run_folder_that_cannot_be_written_is_the_input_s_fault(tmp_path, capsys):
    (tmp_path / "file").touch()
    words = ["score", SAMPLE_DATA / "tumours.csv", "--model", SAMPLE_DATA / "tumours.pt2", "--run", tmp_path / "file/r"]
    assert main([str(word) for word in words]) == 2
    assert "file/r cannot be written: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 2, "The folder runs/a cannot be written: No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), 2, "/data/x cannot be used: Permission denied"),
        (OSError(errno.EIO, "Input/output error"), 1, "A fault in oga"),
        (ZeroDivisionError("division by zero"), 1, "A fault in oga"),
    ],
)
def test_a_full_disk_is_told_from_a_fault_of_ours(error, status, message, monkeypatch, capsys):
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("oga_core.pipeline.score.score", fail)
    assert main(["score", "data.csv", "--run", "runs/a"]) == status
    assert message in capsys.readouterr().err


def test_errors_are_json_for_machines(capsys):
    assert main(["evaluate", "nowhere", "--truth", "x", "--json"]) == 2
    assert "is not a run folder" in json.loads(capsys.readouterr().out)["error"]


def test_every_option_is_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = next(action for action in _parser()._actions if action.choices)
    options = {
        option
        for command in commands.choices.values()
        for action in command._actions
        for option in action.option_strings
        if option.startswith("--") and option not in ("--help", "--json")
    }
    missing = sorted(option for option in options if f"`{option}" not in readme)
    assert not missing


def test_the_chosen_score_and_share_decide_what_is_flagged(run, tmp_path, oga):
    words = ["export", run, "--format", "csv", "--out", tmp_path / "t.csv", "--score", "margin", "--trim-fraction"]
    assert oga(*words, "0.1").returncode == 0
    rows = (tmp_path / "t.csv").read_text().splitlines()
    assert sum(",True," in row for row in rows) == 57
    assert all("margin" in row for row in rows[1:])
    wrong = oga(*words, "7")
    assert wrong.returncode == 2
    assert "must be from 0 to 1, got 7" in wrong.stderr
