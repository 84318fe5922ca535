"""The zoo as a table: python tests/models/zoo [--only WORDS] [--timed] prints JSON, and a line each on stderr."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[2] / "gradients"))

from architectures import ARCHITECTURES
from outcome import Outcome, outcome


def main() -> None:
    """Bring each architecture whose packages are installed through the front door."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a name or of a package")
    parser.add_argument(
        "--timed", action="store_true", help="also the ratio of a batch to its forward and backward pass"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for architecture in ARCHITECTURES:
        if options.only not in f"{architecture.name} {architecture.package}" or not architecture.installed:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = outcome(architecture, Path(folder), timed=options.timed)
            except Exception as error:  # a fault of ours: it is the zoo's business to find it
                row = Outcome("failed", f"{type(error).__name__}: {error}")
        rows[architecture.name] = asdict(row) | {"expected": architecture.expected, "package": architecture.package}
        print(f"{row.result:8} {row.error:.0e} {row.ratio or ''} {architecture.name}: {row.note[:300]}",
              file=sys.stderr, flush=True)  # fmt: skip
    print(json.dumps({"results": Counter(row["result"] for row in rows.values()), "architectures": rows}, indent=1))


main()
