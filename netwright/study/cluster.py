"""Evaluations on a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

from netwright.errors import MissingExtra, UserError
from netwright.search import Trial

LOCAL = "local"  # the address of a cluster on this machine alone, begun for the search
_AGAIN = 5  # times an evaluation is begun anew after what ran it died
_HERE: dict[str, Any] = {}  # in a worker of the cluster: the evaluator, with its caches


def _evaluate(key: str, boxed: list[Any], trial: Trial) -> dict[str, float]:
    """One evaluation, in a worker. The evaluator comes boxed, so that Ray does not unpack it for every trial."""
    import ray
    import torch

    if key not in _HERE:
        torch.set_num_threads(1)
        _HERE.clear()
        _HERE[key] = ray.get(boxed[0])
    metrics: dict[str, float] = _HERE[key](trial)
    return metrics


class Cluster:
    """Evaluations fanned out over a Ray cluster, one core each; those whose worker or machine dies are done again.

    address: of a running cluster (host:port, ray://host:port, or auto), or `local`. workers: evaluations at once; by
    default one a core of the cluster. netwright has to be installed on its machines, in this version.
    Raises MissingExtra without Ray, and UserError when no cluster answers.
    """

    def __init__(self, evaluator: Any, address: str, workers: int | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report over the network
        try:
            import ray
        except ImportError:
            raise MissingExtra("Ray", "ray") from None
        self._ray = ray
        self._joined = ray.is_initialized()
        if not self._joined:
            where: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
            try:
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **where)
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                raise UserError(f"no Ray cluster answers at {address!r}: {reason}") from None
        self.capacity = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._evaluator = ray.put(evaluator)
        self._remote = ray.remote(num_cpus=1, max_retries=_AGAIN)(_evaluate)
        self._running: dict[Any, Trial] = {}

    def submit(self, trial: Trial) -> None:
        reference = self._remote.remote(self._evaluator.hex(), [self._evaluator], trial)
        self._running[reference] = trial

    def results(self) -> Iterator[tuple[Trial, dict[str, float] | Exception]]:
        """What is done by now, at least one. An evaluation that took its worker down each time is a failed one."""
        waiting = list(self._running)
        self._ray.wait(waiting, num_returns=1)
        done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        for reference in done:
            trial = self._running.pop(reference)
            try:
                yield trial, self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, (ValueError, FloatingPointError, MemoryError)):
                    raise error.cause from None
                yield trial, error.cause
            except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError):
                yield trial, RuntimeError(f"its worker died {_AGAIN + 1} times")
            except self._ray.exceptions.OutOfMemoryError:
                yield trial, MemoryError("out of memory on the cluster")

    def close(self) -> None:
        for reference in self._running:  # an evaluation in flight is not waited for
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if not self._joined:
            self._ray.shutdown()
