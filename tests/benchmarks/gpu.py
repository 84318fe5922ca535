"""Cost of per-sample gradients on a graphics card, as multiples of one forward and backward pass, as JSON.

Both in the same precision, of the same batch, medians of interleaved repeats; norms are compared with float64 first.
Needs torch, transformers, peft, numpy, scikit-learn and this package; bergson and Opacus are measured where installed.

    python tests/benchmarks/gpu.py [--small] [--only CASE] [--seconds 220]

--small runs the same on a CPU with small models, to try the script.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from gpu_cases import CASES, Case, ResNet
from torch import nn

from oga_core.gradients.devices import device_name, forget_peak, peak_mb, precision_context
from oga_core.gradients.full_pass import FullPass
from oga_core.gradients.head_pass import HeadPass
from oga_core.gradients.hooks.forward_capture import survey
from oga_core.gradients.methods.oracle import loop_gradients
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.passes import full_pass
from oga_core.tasks.batches import first_rows

UNIT = "forward and backward"
REPEATS = 7
CHECKED = 2  # samples compared with float64


def build(name: str, small: bool, device: torch.device) -> Case:
    torch.manual_seed(0)
    with device:
        case = CASES[name](small)
    case.model = case.model.to(device).eval()
    case.batch = {name: value.to(device) for name, value in case.batch.items()}
    return case


def plain(case: Case, device: torch.device, precision: str, parameters: dict[str, nn.Parameter]) -> None:
    """A training step without the optimiser's part."""
    with precision_context(device, precision):
        losses = case.task.losses(case.task.outputs(case.model, case.batch), case.batch)
        with torch.autocast(device.type, enabled=False):  # the backward pass has the same products of float32, or TF32
            losses.sum().backward()
    for p in parameters.values():
        p.grad = None


def engine(case: Case, device: torch.device, precision: str, *, l2: bool) -> FullPass:
    options = PassOptions(parameters=case.parameters, exact_l2=l2, precision=precision, device=device.type)
    few = first_rows(case.batch, 4)
    with torch.no_grad():
        seen = survey(lambda: case.task.outputs(case.model, few), 4)
    head = HeadPass(case.task, case.model, options, seen, device)
    parameters = choose_parameters(case.model, case.parameters)
    return full_pass(case.task, case.model, options, head, parameters, few, device)


def error_of_norms(case: Case, full: FullPass) -> float:
    """Largest relative difference of the norms of a few samples from those of a loop in float64."""
    few = first_rows(case.batch, CHECKED)
    norms = full(few)["l2_norm_all"].double()
    model = copy.deepcopy(case.model).double()
    parameters = {name: p for name, p in model.named_parameters() if name in full.parameters}
    few = {name: value.double() if value.is_floating_point() else value for name, value in few.items()}
    parts = loop_gradients(case.task, model, few, parameters)
    exact = torch.stack([sum(g.square().sum() for g in part.values()).sqrt() for part in parts])  # type: ignore[union-attr]
    return float(((norms - exact).abs() / exact).max())


def bergson(case: Case, device: torch.device) -> Callable[[], object]:
    """Projections to 16 x 16 a module, kept on the card."""
    from bergson.collector.gradient_collectors import TraceCollector
    from bergson.gradients import GradientProcessor

    parameters = choose_parameters(case.model, case.parameters)
    targets = {name.removesuffix(".weight") for name in parameters}
    collector = TraceCollector(
        model=case.model,
        target_modules=targets,
        processor=GradientProcessor(projection_dim=16),
        device=device,
        dtype=torch.bfloat16,
    )

    def run() -> None:
        with frozen(case.model), collector:
            plain(case, device, "float32", {})
        collector.mod_grads.clear()

    return run


def opacus(case: Case, device: torch.device) -> Callable[[], object]:
    """Whole gradients of every sample; batch norm, which it refuses, is left out."""
    from opacus import GradSampleModule

    model = copy.deepcopy(case.model)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.requires_grad_(False)
        module.training = any(p.requires_grad for p in module.parameters(recurse=False))
    wrapped = GradSampleModule(model, strict=False, loss_reduction="sum")

    def run() -> None:
        case.task.losses(case.task.outputs(wrapped, case.batch), case.batch).sum().backward()
        for p in model.parameters():
            p.grad = p.grad_sample = None

    return run


@contextlib.contextmanager
def frozen(model: nn.Module) -> Any:
    """No weight gradients, but a tape from the embedding on."""
    required = [p for p in model.parameters() if p.requires_grad]
    for p in required:
        p.requires_grad_(False)
    hook = next(m for m in model.modules() if isinstance(m, nn.Embedding)).register_forward_hook(
        lambda module, args, output: output.requires_grad_()
    )
    try:
        yield
    finally:
        hook.remove()
        for p in required:
            p.requires_grad_()


def seconds(method: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    method()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measured(methods: dict[str, Callable[[], object]], device: torch.device) -> dict[str, Any]:
    """Seconds and ratio of each, and the most memory that each takes; what fails says why."""
    result: dict[str, Any] = {}
    for name, method in list(methods.items()):
        try:
            method()
            forget_peak(device)
            method()
            result[name] = {"peak_mb": peak_mb(device)}
        except Exception as error:
            result[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
            methods.pop(name)
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(REPEATS):
        for name, method in methods.items():
            times[name].append(seconds(method, device))
    for name, values in times.items():
        result[name]["seconds"] = round(statistics.median(values), 5)
        pairs = zip(values, times[UNIT], strict=True)
        result[name]["ratio"] = round(statistics.median(one / unit for one, unit in pairs), 3)
    return result


def measure(case: Case, device: torch.device, precision: str) -> dict[str, Any]:
    parameters = choose_parameters(case.model, case.parameters)
    for name, p in case.model.named_parameters():
        p.requires_grad_(name in parameters)
    result: dict[str, Any] = {"notes": []}
    methods: dict[str, Callable[[], object]] = {UNIT: lambda: plain(case, device, precision, parameters)}
    for name, l2 in (("sketch", False), ("sketch, l2", True)):
        start = time.perf_counter()
        full = engine(case, device, precision, l2=l2)
        result[f"{name}: check seconds"] = round(time.perf_counter() - start, 2)
        methods[name] = lambda full=full: full(case.batch)  # type: ignore[misc]
        result["notes"] += full.notes
    result["method"] = full.method.name
    result["check_error"] = full.check_error
    result["precision_error"] = full.precision_error
    result["precision used"] = full.precision.name
    result["norms against float64"] = error_of_norms(case, full)
    for name, rival in (("bergson, 16 x 16", bergson), ("opacus", opacus)):
        is_language = case.tokens > 0
        # Opacus keeps activations of networks that are not sequential, which fills the card.
        suits = rival is bergson if is_language else isinstance(case.model, ResNet) and rival is opacus
        if suits and precision == case.precisions[0]:
            with contextlib.suppress(ImportError):
                methods[name] = rival(case, device)
    result.update(measured(methods, device))
    unit = "tokens" if case.tokens else "samples"
    if "seconds" in result["sketch"]:
        result[f"{unit} a second"] = round((case.tokens or len(case.batch["labels"])) / result["sketch"]["seconds"])
    return result


def profile(case: Case, device: torch.device, precision: str) -> dict[str, Any]:
    """What takes the time on the card in one pass, and how long the processor is busy."""
    full = engine(case, device, precision, l2=False)
    full(case.batch)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    start = time.perf_counter()
    full(case.batch)
    launched = time.perf_counter() - start
    seconds(lambda: None, device)
    with torch.profiler.profile(activities=kinds) as trace:
        total = seconds(lambda: full(case.batch), device)
    events = trace.key_averages()

    def own(event: Any) -> float:
        return float(getattr(event, "self_device_time_total", 0) or event.self_cpu_time_total)

    top = sorted(events, key=own, reverse=True)[:14]
    return {
        "seconds": round(total, 4),
        "seconds until all is launched, without the profiler": round(launched, 4),
        "top": [[event.key[:70], event.count, round(own(event) / 1000, 2)] for event in top],
        "kernels": sum(event.count for event in events if "cudaLaunchKernel" in event.key),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", choices=CASES, default=None)
    parser.add_argument("--seconds", type=float, default=220)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    result: dict[str, Any] = {"device": device_name(device), "torch": torch.__version__, "cases": {}}
    start = time.perf_counter()
    for name in [options.only] if options.only else CASES:
        if time.perf_counter() - start > options.seconds:
            result["cases"][name] = {"error": "no time left"}
            continue
        case = build(name, options.small, device)
        for precision in case.precisions:
            key = f"{name}, {precision if len(case.precisions) > 1 else 'bfloat16 weights'}"
            began = time.perf_counter()
            try:
                result["cases"][key] = measure(case, device, precision)
                if precision in (case.precisions[0], case.precisions[-1]):
                    result["cases"][key]["profile"] = profile(case, device, precision)
            except Exception as error:
                result["cases"][key] = {"error": f"{type(error).__name__}: {error}"[:500]}
            print(key, round(time.perf_counter() - began, 1), "s", file=sys.stderr)
        del case
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    result["seconds"] = round(time.perf_counter() - start, 1)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
