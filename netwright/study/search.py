"""The loop: ask, evaluate, tell, write down."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netwright.errors import Refused
from netwright.search import Strategy, Told, Trial, replay

from .parallel import Processes, Serial
from .record import Record, Row, events

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
        return self.deadline is not None and asked > 0 and time.monotonic() >= self.deadline


def run(
    strategy: Strategy,
    workers: Serial | Processes,
    record: Record,
    stop: Stop,
    *,
    before: list[Row] | None = None,
    report: Report | None = None,
) -> list[Told]:
    """Search until `stop`; returns everything told. `before` is a log to go on from: finished trials are not repeated,
    trials that were cut off are evaluated again."""
    with settled():
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
    workers: Serial | Processes,
    record: Record,
    stop: Stop,
    before: list[Row] | None,
    report: Report | None,
) -> list[Told]:
    cut_off: list[Trial] = []
    if before:
        replay(strategy, events(before))
        cut_off = [row.trial for row in before if row.status is None]
    running = 0
    exhausted = False
    while True:
        while running < workers.capacity and not exhausted:
            if cut_off:
                workers.submit(cut_off.pop(0))
                running += 1
                continue
            if stop.reached(strategy.asked):
                break
            try:
                trial = strategy.ask()[0]
            except Refused:
                if not strategy.told and not running:
                    raise
                exhausted = True
                break
            record.asked(trial)
            workers.submit(trial)
            running += 1
        if not running:
            return strategy.told
        for trial, result in workers.results():
            running -= 1
            failed = isinstance(result, Exception)
            metrics = {} if isinstance(result, Exception) else result
            words = f"failed: {' '.join(str(result).split())[:120]}" if failed else ""
            status = "failed" if failed else "ok"
            record.told(trial, metrics, status)
            strategy.tell(trial, metrics, status)  # type: ignore[arg-type]
            if report is not None:
                report(trial, metrics, words)
