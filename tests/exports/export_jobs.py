"""Jobs in the place of an export's, as a worker that something hostile has taken over might do them."""

import os
import resource
import signal
from pathlib import Path

ATTACKS = {
    "another name": lambda out: out.with_name("other.csv").write_text("x"),
    "a second file": lambda out: [out.with_name(name).write_text("x") for name in (out.name, f"{out.name}.2")],
    "nothing": lambda out: None,
    "a pipe": lambda out: os.mkfifo(out),
    "a link": lambda out: out.symlink_to("/etc/passwd"),
    "a link in a folder": lambda out: (out.mkdir(), (out / "x").symlink_to("/etc/passwd")),
    "a pipe deep in a folder": lambda out: ((out / "a" / "b").mkdir(parents=True), os.mkfifo(out / "a" / "b" / "x")),
    "beside the target": lambda out: (out.parents[1] / "beside.csv").write_text("x"),
    "over the data": lambda out: (out.parents[1] / "data.csv").write_text("x"),
    "into the run": lambda out: (out.parents[1] / "run" / "run.json").write_text("{}"),
}


def attack(arguments, progress):
    """Do the attack whose name the target has."""
    out = Path(arguments["out"])
    ATTACKS[out.name](out)
    return {}


def hang(arguments, progress):
    Path(arguments["out"]).write_text("half")
    while True:
        progress({"stage": "writing", "done": 1, "total": 2})


def fill_the_disk(arguments, progress):
    """Fill a disk that holds 64 KB more."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the write fails with a number that says it is full
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    Path(arguments["out"]).write_bytes(bytes(1 << 20))
