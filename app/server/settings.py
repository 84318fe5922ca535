"""What the person who started the dashboard decided: which runs, which folder paths may come from, who reviews."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oga_core.errors import OgaError
from oga_core.worker.inspection import jail_here


@dataclass(frozen=True)
class Settings:
    """Flags of `oga app`, after Streamlit's own.

    folder: where runs are found and new ones are written. only: the run that was opened from the command line.
    data_root: typed paths must lie in it. reviewer: the name written to decisions, None where the page may ask.
    accounts: who may sign in through the network; None where the dashboard is for this machine only.
    allow_unjailed: whether data and models are read for them where a layer of the worker's jail is missing.
    in_frame: whether a notebook on this machine may show the dashboard in a frame.
    """

    folder: Path
    only: Path | None = None
    data_root: Path | None = None
    reviewer: str | None = None
    accounts: Path | None = None
    allow_unjailed: bool = False
    in_frame: bool = False

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Settings:
        """Read the flags; `--run` is a run folder or a folder of run folders. Other flags are left alone."""
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--run", type=Path)
        parser.add_argument("--data-root", type=Path)
        parser.add_argument("--reviewer")
        parser.add_argument("--accounts", type=Path)
        parser.add_argument("--allow-unjailed", action="store_true")
        parser.add_argument("--in-frame", action="store_true")
        options, _ = parser.parse_known_args(arguments)
        root = options.data_root.resolve() if options.data_root else None
        run = options.run.resolve() if options.run else Path(os.environ.get("OGA_RUNS") or Path.home() / "oga-runs")
        is_run = (run / "run.json").is_file()
        return cls(
            folder=run.parent if is_run else run,
            only=run if is_run else None,
            data_root=root,
            reviewer=options.reviewer,
            accounts=options.accounts,
            allow_unjailed=options.allow_unjailed,
            in_frame=options.in_frame,
        )

    @property
    def closed(self) -> str:
        """Why others may not have data and models read here, where the jail has holes nobody allowed; else empty."""
        if self.accounts is None or self.allow_unjailed:
            return ""
        missing = " ".join(jail_here()["missing"])
        return missing and (
            f"Reading data and models is closed on this shared dashboard. {missing} "
            "Whoever starts the dashboard can allow it nevertheless."
        )

    def require_jail(self) -> None:
        """Raise `OgaError` where reading is `closed`."""
        if self.closed:
            raise OgaError(self.closed)

    def runs(self) -> list[Path]:
        """Run folders that can be opened, the latest first."""
        folders = {self.only} if self.only else set()
        if self.folder.is_dir():
            folders |= {path for path in self.folder.iterdir() if (path / "run.json").is_file()}
        return sorted(folders, key=lambda path: (path / "run.json").stat().st_mtime, reverse=True)

    def named(self, name: str) -> Path:
        """The run of this name; raises `OgaError` where there is none."""
        for path in self.runs():
            if path.name == name:
                return path
        raise OgaError(f"There is no run {name!r} in {self.folder}. Choose one on the Run page.")

    @property
    def takes_paths(self) -> bool:
        """Whether a path may be typed: not by those who come through the network, unless into the data root."""
        return self.accounts is None or self.data_root is not None

    def confined(self, text: str) -> Path:
        """A typed path, made absolute; raises `OgaError` where it is missing or outside the data root."""
        if not self.takes_paths:
            raise OgaError("Paths are closed on a shared dashboard. Upload the file, or start it with --data-root.")
        try:
            return self._confined(text)
        except (OSError, ValueError, RuntimeError) as error:  # no right to look, too long, NUL, a home that nobody has
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            raise OgaError(f"{text[:200]!r} cannot be used: {reason}. Give another path.") from None

    def new_place(self, text: str) -> Path:
        """A typed path to write to, in a folder that is `confined`; raises `OgaError` for one that is not.

        Nobody who comes through the network writes beside the runs, where a folder counts as one.
        """
        path = Path(text.strip())
        folder = self.confined(str(path.parent))
        if self.accounts is not None and folder.is_relative_to(self.folder.resolve()):
            raise OgaError(f"{text!r} is in the folder of the runs. Give another place.")
        return folder / path.name

    def _confined(self, text: str) -> Path:
        path = Path(text.strip()).expanduser()
        if self.data_root is not None and not path.is_absolute():
            path = self.data_root / path
        path = path.resolve()
        if self.data_root is not None and not path.is_relative_to(self.data_root):
            raise OgaError(f"{text!r} is outside the data folder. Give a path inside {self.data_root}.")
        if self.accounts is not None and path.exists() and path.samefile(self.accounts):
            raise OgaError(f"{text!r} holds the passwords' hashes and is no data. Give another file.")
        if not path.exists():
            raise OgaError(f"{text!r} does not exist. Give a file or folder on this machine.")
        return path
