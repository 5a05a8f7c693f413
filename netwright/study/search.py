"""The loop: ask, evaluate, tell, write down."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netwright.errors import Refused
from netwright.search import Status, Strategy, Told, Trial, replay

from .parallel import Workers
from .record import Record, Row, events

_WATCH_S = 0.2  # between two looks at what other workers still evaluate
Report = Callable[[Trial, dict[str, float], str], None]  # trial, metrics, what went wrong


@dataclass(frozen=True)
class Stop:
    """When a search ends: after so many trials, or at a time (time.monotonic())."""

    evaluations: int | None = None
    deadline: float | None = None

    def reached(self, asked: int) -> bool:
        """Whether no further trial should begin; one begins however late, since what came before may take all time."""
        if self.evaluations is not None and asked >= self.evaluations:
            return True
        return asked > 0 and self.late()

    def late(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline


def run(
    strategy: Strategy,
    workers: Workers,
    record: Record,
    stop: Stop,
    *,
    before: list[Row] | None = None,
    report: Report | None = None,
) -> list[Told]:
    """Search until `stop`; returns everything told. `before` is a log to go on from: finished trials are not repeated,
    trials that were cut off are evaluated again.

    Other processes may run the same search on the same record: each asks and tells in its turn, takes over the trials
    of one that died, and ends when the trials of all are told (or the time is over).
    """
    with settled(), record.present():
        return _run(strategy, workers, record, stop, before, report)


@contextmanager
def settled() -> Iterator[None]:
    """Let the garbage collector pass over all that is loaded now: a search makes many objects that die at once, and
    looking through the modules and the data set for each few thousand of them took a seventh of its time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _run(
    strategy: Strategy,
    workers: Workers,
    record: Record,
    stop: Stop,
    before: list[Row] | None,
    report: Report | None,
) -> list[Told]:
    replay(strategy, events(before or []))
    running = 0
    while True:
        while running < workers.capacity:
            with record.turn() as news:
                replay(strategy, news)
                trial = record.orphan() or _asked(strategy, record, stop, running)
                waits = record.others() and not stop.late()
            if trial is None:
                break
            workers.submit(trial)
            running += 1
        if not running:
            if not waits:
                return strategy.told
            time.sleep(_WATCH_S)
            continue
        for trial, result in workers.results():
            running -= 1
            metrics, status, words = _judged(strategy, result)
            with record.turn() as news:
                replay(strategy, news)
                if not record.told(trial, metrics, status):
                    continue
                strategy.tell(trial, metrics, status)
            if report is not None:
                report(trial, metrics, words)


def _asked(strategy: Strategy, record: Record, stop: Stop, running: int) -> Trial | None:
    """The strategy's next trial, written down; None when there is to be no further one for now."""
    if stop.reached(strategy.asked):
        return None
    try:
        trial = strategy.ask()[0]
    except Refused:
        if not strategy.told and not running:
            raise
        return None
    record.asked(trial)
    return trial


def _judged(strategy: Strategy, result: dict[str, float] | Exception) -> tuple[dict[str, float], Status, str]:
    """Metrics, status, and what went wrong; a result without a number for each objective is a failed one."""
    if isinstance(result, Exception):
        return {}, "failed", f"failed: {' '.join(str(result).split())[:120]}"
    for name in dict.fromkeys(o.name for o in strategy.objectives):
        if name not in result or math.isnan(result[name]):
            what = "not a number" if name in result else "missing"
            return result, "failed", f'failed: the metric "{name}" is {what}'
    return result, "ok", ""
