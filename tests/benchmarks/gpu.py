"""Cost of per-sample gradients on a graphics card, as multiples of one forward and backward pass, as JSON.

Both in the same precision, of the same batch, medians of interleaved repeats; norms are compared with float64 first.
Convolutions are measured with their channels last too, and a pass with copies beside the work of the card and without.
Then `oga score --device cuda` from end to end on the shared photographs against the CPU and against a plain loop, and
all cards against one where there are several. Needs torch, transformers, peft, numpy, scikit-learn and this package;
bergson and Opacus are measured where installed, the photographs (OGA_SHARED_DATA) where they are there.

    python tests/benchmarks/gpu.py [--small] [--only PART] [--seconds 230] [--out FILE]

Every case runs in a process that may fail without costing the others, and FILE is written anew after each.
--small runs the same on a CPU with small models, to try the script. --only: cases whose name has PART in it.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cards.isolated import Results, run_jobs, work, write_json

END_TO_END = "oga score, end to end"
SEVERAL = "oga score, all cards"
COPIES = "a pass with copies beside the work"
WHOLE = (END_TO_END, SEVERAL, COPIES)
ALL = ("float32", "tf32", "bfloat16")
WEIGHTS = ("bfloat16 weights",)
JOBS = (
    *(f"resnet18, {precision}" for precision in ALL),
    *(f"bert_base, {precision}" for precision in ALL),
    END_TO_END,
    COPIES,
    *(f"llama_1b, {precision}" for precision in WEIGHTS),
    *(f"llama_1b_lora, {precision}" for precision in WEIGHTS),
    *(f"vit_b16, {precision}" for precision in ALL),
    *(f"resnet50, {precision}" for precision in ALL),
    *(f"llama_160m, {precision}" for precision in WEIGHTS),
    SEVERAL,
    *(f"{case}, float16" for case in ("resnet18", "bert_base")),
)
"""By what is worth most where time runs out."""
SECONDS_OF_ONE = 90.0  # of one job; the longest, a run on the card and one on the CPU, is to take less than one minute


class Worker:
    """Takes jobs in one process; models are kept from one precision to the next."""

    def __init__(self, small: bool):
        import torch

        self.small = small
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.built: dict[str, Any] = {}

    def __call__(self, job: str) -> dict[str, Any]:
        start = time.perf_counter()
        if job in WHOLE:
            self._forget()
            result = self._whole(job)
        else:
            result = self._measured(*job.split(", "))
        return {**result, "seconds of the job": round(time.perf_counter() - start, 1)}

    def _whole(self, job: str) -> dict[str, Any]:
        from cards.transfer_times import transfer_times
        from cards.whole_runs import end_to_end, several_cards

        with tempfile.TemporaryDirectory() as folder:
            if job == COPIES:
                return transfer_times(Path(folder), self.small, self.device)
            return (end_to_end if job == END_TO_END else several_cards)(Path(folder), self.small)

    def _measured(self, name: str, precision: str) -> dict[str, Any]:
        from cards.measures import build, measure

        if name not in self.built:
            self._forget()
            self.built[name] = build(name, self.small, self.device)
        case = self.built[name]
        return measure(case, self.device, case.precisions[0] if precision in WEIGHTS else precision)

    def _forget(self) -> None:
        import torch

        self.built.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def is_broken(self, error: Exception) -> bool:
        """Whether the card answers nothing more in this process, as after a kernel that failed."""
        import torch

        if self.device.type != "cuda" or isinstance(error, torch.OutOfMemoryError):
            return False
        try:
            torch.cuda.synchronize()
        except RuntimeError:
            return True
        return False


def machine() -> dict[str, Any]:
    import torch

    cards = [
        torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    return {"cards": cards, "torch": torch.__version__, "cuda": torch.version.cuda}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=230)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", nargs="+", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        worker = Worker(options.small)
        work(options.work, worker, broken=worker.is_broken)
        return
    start = time.perf_counter()
    whole: dict[str, Any] = {**machine(), "cases": {}}

    def after(results: Results) -> None:
        whole["cases"] = results
        whole["seconds"] = round(time.perf_counter() - start, 1)
        write_json(options.out, whole)

    command = [sys.executable, __file__, *(["--small"] if options.small else []), "--work"]
    jobs = [job for job in JOBS if options.only in job]
    of_one = options.seconds if options.small else SECONDS_OF_ONE
    run_jobs(command, jobs, seconds=options.seconds, of_one=of_one, after=after)
    print(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
