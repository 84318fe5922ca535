"""The `oga` command."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from oga_app.background.progress import ProgressLine
from oga_app.commands import ask, score, shards, verify
from oga_core.errors import OgaError
from oga_core.files import disk_error

EXIT_OUR_FAULT = 1
EXIT_YOUR_INPUT = 2
EXIT_TOO_LITTLE_GAIN = 3
EXIT_CANCELLED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, 1 for a fault of ours, 2 for what the person gave, 3 for too little gain."""
    options = _parser().parse_args(arguments)
    # A terminated run must still write its status.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = options.command(options) or {}
        if result:
            _print_result(result, as_json=options.json)
        return 0 if result.get("reaches_min_gain", True) else EXIT_TOO_LITTLE_GAIN
    except OgaError as error:
        _print_error(str(error), as_json=options.json)
        return EXIT_YOUR_INPUT
    except KeyboardInterrupt:
        _print_error("Cancelled. The same command continues where it stopped.", as_json=options.json)
        return EXIT_CANCELLED
    except BrokenPipeError:
        return EXIT_OUR_FAULT
    except Exception as error:
        written = getattr(options, "out", None) or getattr(options, "run", None) or Path()
        if (advice := disk_error(error, written)) is not None:
            _print_error(str(advice), as_json=options.json)
            return EXIT_YOUR_INPUT
        _print_error(f"A fault in oga, not in your input: {type(error).__name__}: {error}", as_json=options.json)
        return EXIT_OUR_FAULT


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_YOUR_INPUT, f"{self.prog}: {message}. See: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="oga", description="Find, review and fix the training samples that hurt a model.")
    commands = parser.add_subparsers(title="commands", required=True, parser_class=_Parser, metavar="COMMAND")
    _add_demo(commands)
    _add_app(commands)
    _add_account(commands)
    score.add_arguments(_command(commands, "score", score.score, "Score every sample of a data set into a run folder."))
    shards.add_arguments(_command(commands, "merge", shards.merge, "Join the shards of a run, and score it."))
    _add_export(commands)
    _add_evaluate(commands)
    verify.add_arguments(
        _command(commands, "verify", verify.verify, "Retrain without the flagged samples and compare.")
    )
    ask.add_arguments(_command(commands, "ask", ask.ask, "Say which training rows made a language model say it."))
    _add_compare(commands)
    return parser


def _command(commands: Any, name: str, function: Any, help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=function)
    parser.add_argument("--json", action="store_true", help="print the result for machines, on standard output")
    return parser


def _add_server_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8501, help="port of the dashboard on 127.0.0.1 (8501)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def _add_demo(commands: Any) -> None:
    parser = _command(commands, "demo", _demo, "Score three sample data sets and open them in the dashboard.")
    parser.add_argument("--folder", type=Path, help="where the demo runs are kept (a folder in the user's cache)")
    _add_server_flags(parser)


def _add_app(commands: Any) -> None:
    parser = _command(commands, "app", _app, "Open the dashboard.")
    add = parser.add_argument
    add("run", nargs="?", type=Path, metavar="RUN", help="a run folder, or a folder of run folders")
    add("--data-root", type=Path, help="confine paths typed into the dashboard to this folder")
    add("--reviewer", help="name written to the decisions (asked on the page)")
    add("--address", default="127.0.0.1", help="name or number that others reach this machine by")
    add("--accounts", type=Path, help="who may sign in; needed with --address")
    add("--allow-unjailed", action="store_true", help="read data for accounts although the worker's jail has holes")
    add("--in-frame", action="store_true", help="let a notebook on this machine show it in a frame")
    _add_server_flags(parser)


def _add_account(commands: Any) -> None:
    parser = _command(commands, "account", _account, "Add a reviewer who may sign in, or change the password.")
    parser.add_argument("file", type=Path, metavar="FILE", help="the accounts file, new or to extend")
    parser.add_argument("name", metavar="NAME", help="name written to the decisions")


def _add_export(commands: Any) -> None:
    parser = _command(commands, "export", _export, "Write the reviewed labels.")
    add = parser.add_argument
    add("run", type=Path, metavar="RUN")
    add("--format", required=True, help="csv, parquet, jsonl, fixed and others; a wrong name lists them")
    add("--out", type=Path, required=True, help="file or folder to write")
    add("--score", help="score that decides what is flagged (the run's default)")
    add("--trim-fraction", type=float, help="share of the samples to flag (the run's suggestion)")
    add("--apply", default="decisions", help="decisions, or the machine's proposal, not reviewed: suggestions or trim")
    add("--spreadsheet-safe", action="store_true", help="put ' before cells that a spreadsheet would run")


def _add_evaluate(commands: Any) -> None:
    parser = _command(commands, "evaluate", _evaluate, "Judge the scores of a run against known true labels.")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--truth", type=Path, required=True, help="CSV with an id column and true_label")
    parser.add_argument("--id-column", help="column of the ids (the first)")


def _add_compare(commands: Any) -> None:
    parser = _command(commands, "compare", _compare, "Set an earlier and a later run of the same samples side by side.")
    for name, which in (("old", "the earlier run, on which was decided"), ("new", "the later run")):
        parser.add_argument(name, type=Path, metavar="RUN", help=which)


def _demo(options: argparse.Namespace) -> None:
    from oga_app.demo import improve_maps, prepare_demo
    from oga_app.server.serving import serve

    progress = ProgressLine()
    folder = prepare_demo(options.folder, progress)
    progress.close()
    serve(folder, port=options.port, browser=not options.no_browser, meanwhile=lambda: improve_maps(folder))


def _app(options: argparse.Namespace) -> None:
    from oga_app.server.serving import serve

    serve(
        options.run,
        port=options.port,
        browser=not options.no_browser,
        data_root=options.data_root,
        reviewer=options.reviewer,
        address=options.address,
        accounts=options.accounts,
        allow_unjailed=options.allow_unjailed,
        in_frame=options.in_frame,
    )


def _account(options: argparse.Namespace) -> dict[str, Any]:
    from getpass import getpass

    from oga_app.server.accounts import set_password

    ask = getpass if sys.stdin.isatty() else (lambda prompt: sys.stdin.readline().rstrip("\n"))
    set_password(options.file, options.name, ask(f"Password of {options.name}: "))
    return {"account": options.name, "file": str(options.file)}


def _export(options: argparse.Namespace) -> dict[str, Any]:
    from oga_core.exports import export
    from oga_core.runs.folder import RunFolder

    progress = ProgressLine()
    settings = {name: getattr(options, name) for name in ("spreadsheet_safe", "score", "trim_fraction", "apply")}
    path = export(RunFolder.open(options.run), options.format, options.out, progress=progress, **settings)
    progress.close()
    return {"written": str(path), "applied": options.apply, "reviewed": options.apply == "decisions"}


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    from oga_core.evaluation.truth import evaluate
    from oga_core.runs.folder import RunFolder

    return evaluate(RunFolder.open(options.run), options.truth, id_column=options.id_column)


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    from oga_core.evaluation.runs import RunPair

    return RunPair.open(options.old, options.new).summary()


def _print_result(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        return print(json.dumps(result, indent=1, ensure_ascii=False))
    for name, value in result.items():
        shown = json.dumps(value, indent=1, ensure_ascii=False) if isinstance(value, (dict, list)) else value
        print(f"{name.replace('_', ' ')}: {shown}")


def _print_error(message: str, *, as_json: bool) -> None:
    print(f"\noga: {message}" if sys.stderr.isatty() else f"oga: {message}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": message}, ensure_ascii=False))


def _interrupt(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
