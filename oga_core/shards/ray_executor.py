"""Shards as tasks of a Ray cluster, which starts them again elsewhere when it loses a node."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any

from oga_core.errors import OgaError
from oga_core.shards.executor import Executor, ShardWork


class RayExecutor(Executor):
    """A task a shard, with the resources of the device that was asked for.

    Joins the cluster that RAY_ADDRESS names or that runs on this machine, else starts one here. Every node needs this
    package, and the data, the model and the run folder under the same paths.
    """

    def __init__(self, work: ShardWork):
        super().__init__(work)
        self.ray = _cluster()
        resources = resources_of(self.ray, work.options.device)
        # Every retry takes one shard only; what a task itself has to say is no reason for one.
        self.task = self.ray.remote(**resources, max_retries=-1)(_outcome)
        self.tasks: list[Any] = []

    def submit(self, rank: int) -> Future[str]:
        reference = self.task.remote(self.work, rank)
        self.tasks.append(reference)
        result: Future[str] = Future()
        reference.future().add_done_callback(lambda outcome: _settle(result, outcome))
        return result

    def close(self) -> None:
        super().close()
        for reference in self.tasks:
            self.ray.cancel(reference, force=True)


def slots(device: str) -> int:
    """Return how many shards on such a device the cluster has room for at once, at least 1.

    Raises `OgaError` where Ray is not installed.
    """
    ray = _cluster()
    kind = "GPU" if resources_of(ray, device)["num_gpus"] else "CPU"
    return max(1, int(ray.cluster_resources().get(kind, 1)))


def resources_of(ray: Any, device: str) -> dict[str, int]:
    """Return what Ray must keep free for a shard: one core, and one card where the device is one."""
    on_card = device.startswith("cuda") or (device == "auto" and ray.cluster_resources().get("GPU", 0) >= 1)
    return {"num_cpus": 1, "num_gpus": 1 if on_card else 0}


def _cluster() -> Any:
    """Ray's module, joined to a cluster."""
    try:
        import ray
    except ImportError:
        raise OgaError("Ray is not installed here. Install it with: pip install 'ray>=2.60'.") from None
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, include_dashboard=False)
    return ray


def _outcome(work: ShardWork, rank: int) -> dict[str, Any]:
    """A task's marker, or what the person can correct: Ray would wrap an error of ours into its own."""
    try:
        return {"marker": work(rank, threads=1)}
    except OgaError as error:
        return {"error": str(error), "detail": error.detail}


def _settle(result: Future[str], outcome: Future[Any]) -> None:
    failure = outcome.exception()
    if failure is not None:
        return result.set_exception(failure)
    content = outcome.result()
    if "error" in content:
        return result.set_exception(OgaError(content["error"], content["detail"]))
    result.set_result(content["marker"])
