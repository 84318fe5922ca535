"""What one case costs in one precision: agreement with float64 first, then times, memory, and where the time goes."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from cards.card_rivals import plain, rivals_of
from cards.cases import CASES, Case, ResNet

from oga_core.gradients.cards.memory_format import channels_last
from oga_core.gradients.devices import forget_peak, peak_mb
from oga_core.gradients.full_pass import FullPass
from oga_core.gradients.head_pass import HeadPass
from oga_core.gradients.hooks.forward_capture import survey
from oga_core.gradients.methods.oracle import loop_gradients
from oga_core.gradients.options import PassOptions
from oga_core.gradients.parameter_choice import choose_parameters
from oga_core.gradients.passes import full_pass
from oga_core.tasks.batches import first_rows

UNIT = "forward and backward"
CHANNELS_LAST = "channels last"
REPEATS = 7
CHECKED = 2  # samples compared with float64


def build(name: str, small: bool, device: torch.device) -> Case:
    torch.manual_seed(0)
    with device:
        case = CASES[name](small)
    case.model = case.model.to(device).eval()
    case.batch = {name: value.to(device) for name, value in case.batch.items()}
    chosen_names = choose_parameters(case.model, case.parameters)
    for name, p in case.model.named_parameters():
        p.requires_grad_(name in chosen_names)
    return case


def measure(case: Case, device: torch.device, precision: str, repeats: int = REPEATS) -> dict[str, Any]:
    """All that is to be known of a case in one precision."""
    result: dict[str, Any] = {}
    methods: dict[str, Callable[[], object]] = {UNIT: lambda: plain(case, device, precision)}
    engines = {}
    for name, l2 in (("sketch, l2", True), ("sketch", False)):
        start = time.perf_counter()
        full = engine(case, device, precision, l2=l2)
        result[f"{name}: check seconds"] = round(time.perf_counter() - start, 2)
        engines[name] = full
    checked = engines["sketch, l2"]
    result["norms against float64"] = error_of_norms(case, checked)
    result["method"] = checked.method.name
    result["check_error"] = checked.check_error
    result["precision_error"] = checked.precision_error
    result["precision used"] = checked.precision.name
    result["notes"] = list(dict.fromkeys(note for full in engines.values() for note in full.notes))
    methods["sketch"] = lambda: engines["sketch"](case.batch)
    methods["sketch, l2"] = lambda: checked(case.batch)
    rivals = rivals_of(case, device) if precision == case.precisions[0] else {}
    result.update(measured(methods | rivals, device, repeats))
    if isinstance(case.model, ResNet):
        with channels_last(case.model):
            error = error_of_norms(case, checked)
            result[CHANNELS_LAST] = {"norms against float64": error, **measured(methods, device, repeats)}
    if "seconds" in result["sketch"]:
        unit = "tokens" if case.tokens else "samples"
        n = case.tokens or len(case.batch["labels"])
        result[f"{unit} a second"] = round(n / result["sketch"]["seconds"])
    if precision in (case.precisions[0], case.precisions[-1]):
        result["profile"] = profile(engines["sketch"], case, device)
    return result


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


def seconds(method: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    method()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def measured(methods: dict[str, Callable[[], object]], device: torch.device, repeats: int) -> dict[str, Any]:
    """Seconds and ratio of each, and the most memory that each takes; what fails says why and costs nothing else."""
    result: dict[str, Any] = {}
    times: dict[str, list[float]] = {}
    for name, method in methods.items():
        try:
            method()
            forget_peak(device)
            method()
        except Exception as error:
            result[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
        else:
            result[name] = {"peak_mb": peak_mb(device)}
            times[name] = []
    for _ in range(repeats):
        for name, values in times.items():
            values.append(seconds(methods[name], device))
    units = times.get(UNIT, [])
    for name, values in times.items():
        result[name]["seconds"] = round(statistics.median(values), 5)
        if units:
            ratios = [one / unit for one, unit in zip(values, units, strict=True)]
            result[name]["ratio"] = round(statistics.median(ratios), 3)
    return result


def profile(full: FullPass, case: Case, device: torch.device) -> dict[str, Any]:
    """What takes the time on the card in one pass, and how long the processor is busy."""
    full(case.batch)
    _wait(device)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    start = time.perf_counter()
    full(case.batch)
    launched = time.perf_counter() - start
    _wait(device)
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
