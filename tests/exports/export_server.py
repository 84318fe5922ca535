"""A program for tests to kill: for every line "format<tab>place" on its input, a process of its own exports a run.

Its argument is the run. It answers with the id of the process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from oga_core.exports import export
from oga_core.runs.folder import RunFolder

if __name__ == "__main__":
    run = RunFolder.open(sys.argv[1])
    for line in sys.stdin:
        format, place = line.rstrip("\n").split("\t")
        process = os.fork()
        if not process:
            export(run, format, Path(place))
            os._exit(0)
        print(process, flush=True)
        os.waitpid(process, 0)
