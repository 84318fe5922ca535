"""Try every hostile file of the tests, and print what came of them: `python tests/attacks [--json] [--only WORD …]`.

The exit status is 0 where no payload ran, nothing was written outside, every end was a sentence, a limit or harmless,
and none took longer than it may.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
TESTS = Path(__file__).parents[1]
FOLDERS = ("readers", "readers/attacks", "models/attacks")
sys.path[1:1] = [str(TESTS.parent), *(str(TESTS / folder) for folder in FOLDERS)]

from attack_process import SECONDS, Attack, Outcome, tried  # noqa: E402 (the path comes first)


def try_all(attacks: Iterable[Attack], progress: Callable[[Outcome], object] = lambda outcome: None) -> list[Outcome]:
    """Try the attacks one after the other, below a folder that stands for everything a file must not touch."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="oga-attacks-") as root:
        for name in ("home", "tmp"):
            (Path(root) / name).mkdir()
        places = {"HOME": f"{root}/home", "TMPDIR": f"{root}/tmp", "HF_HOME": f"{root}/home/hf"}
        before = {name: os.environ.get(name) for name in places}
        os.environ.update(places)
        try:
            for attack in attacks:
                outcomes.append(tried(attack, Path(root)))
                progress(outcomes[-1])
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
    return outcomes


def summary(outcomes: list[Outcome]) -> dict[str, object]:
    """Count the ends; `failures` lists every attack that did what it must not."""
    return {
        "tried": len(outcomes),
        "refused": sum(outcome.end == "refused" for outcome in outcomes),
        "harmless": sum(outcome.end == "harmless" for outcome in outcomes),
        "killed_by_a_limit": sum(outcome.end == "limit" for outcome in outcomes),
        "payloads": sum(outcome.ran for outcome in outcomes),
        "files_outside": sum(len(outcome.outside) for outcome in outcomes),
        "untyped_faults": sum(outcome.end == "fault" for outcome in outcomes),
        "parent_alive": True,  # it is the one that counts
        "slowest_seconds": round(max((outcome.seconds for outcome in outcomes), default=0), 2),
        "failures": [asdict(outcome) for outcome in outcomes if has_failed(outcome)],
    }


def has_failed(outcome: Outcome) -> bool:
    """Whether an attack did anything that a file must not do."""
    return outcome.ran or bool(outcome.outside) or not outcome.is_expected or outcome.seconds > SECONDS + 5


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python tests/attacks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON alone")
    parser.add_argument("--only", nargs="*", default=[], help="try only attacks whose name holds one of these words")
    options = parser.parse_args(arguments)
    from attack_cases import all_attacks

    attacks = [
        attack for attack in all_attacks() if not options.only or any(word in attack.name for word in options.only)
    ]
    counts = summary(try_all(attacks, lambda outcome: None if options.json else _show(outcome)))
    print(json.dumps(counts, indent=1, ensure_ascii=False))
    return 1 if counts["failures"] else 0


def _show(outcome: Outcome) -> None:
    mark = "FAILED " if has_failed(outcome) else ""
    print(f"{mark}{outcome.name}: {outcome.end} in {outcome.seconds:.1f} s. {outcome.message[:150]}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
