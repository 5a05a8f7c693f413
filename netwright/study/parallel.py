"""Evaluations in other processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any, Protocol

from netwright.devices.quantities import cores
from netwright.search import Trial

_EVALUATOR: Any = None


def _start(evaluator: Any, threads: int) -> None:
    global _EVALUATOR
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import signal

    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    torch.set_num_threads(threads)
    _EVALUATOR = evaluator


def _evaluate(trial: Trial) -> dict[str, float]:
    metrics: dict[str, float] = _EVALUATOR(trial)
    return metrics


class Workers(Protocol):
    """Who evaluates: takes up to `capacity` trials at once, gives each back with its metrics or with what it raised."""

    capacity: int

    def submit(self, trial: Trial) -> None: ...
    def results(self) -> Iterator[tuple[Trial, dict[str, float] | Exception]]: ...
    def close(self) -> None: ...


class Serial:
    """One evaluation at a time, in this process."""

    capacity = 1

    def __init__(self, evaluator: Any) -> None:
        self._evaluator = evaluator
        self._waiting: list[Trial] = []

    def submit(self, trial: Trial) -> None:
        self._waiting.append(trial)

    def results(self) -> Iterator[tuple[Trial, dict[str, float] | Exception]]:
        """What is done by now; does the work when it is asked."""
        trial = self._waiting.pop(0)
        try:
            yield trial, self._evaluator(trial)
        except (ValueError, FloatingPointError, MemoryError) as error:
            yield trial, error

    def close(self) -> None:
        self._waiting.clear()


class Processes:
    """Several processes, each with its share of the cores."""

    def __init__(self, evaluator: Any, workers: int) -> None:
        self.capacity = workers
        threads = max(1, cores() // workers)
        self._pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (evaluator, threads))
        self._running: dict[Future[dict[str, float]], Trial] = {}

    def submit(self, trial: Trial) -> None:
        self._running[self._pool.submit(_evaluate, trial)] = trial

    def results(self) -> Iterator[tuple[Trial, dict[str, float] | Exception]]:
        """What is done by now, at least one."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in done:
            trial = self._running.pop(future)
            error = future.exception()
            if error is None:
                yield trial, future.result()
            elif isinstance(error, (ValueError, FloatingPointError, MemoryError)):
                yield trial, error
            else:
                raise error

    def close(self) -> None:
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:  # an evaluation in flight is not waited for
            process.terminate()
