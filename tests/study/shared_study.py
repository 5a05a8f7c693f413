"""A worker process of the tests on shared and killed studies.

It searches with a cheap evaluator, begins the study or goes on with it, and writes a line for each result that was
acknowledged.
"""

from __future__ import annotations

import os
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from netwright import search, spaces
from netwright.search import Objective, Trial
from netwright.study.parallel import Serial
from netwright.study.record import Record
from netwright.study.search import Stop, run

GOALS = (Objective("loss"),)
HEADER = {"seed": 0}


def loss(trial: Trial) -> float:
    return float(sum(map(ord, trial.candidate.to_json())) % 1009)


def strategy() -> search.Strategy:
    """One whose proposals hang on every result told before, and their order."""
    return search.get("regularised-evolution")(spaces.get("conv-small"), GOALS, seed=0, population=10, sample=3)


def opened(storage: str) -> Record:
    return Record(storage, "search", spaces.get("conv-small"), GOALS)


def work(storage: str, trials: int, seconds: float, pipe: int) -> None:
    """Search until so many trials; one evaluation takes so many seconds. Lines go to the pipe."""

    def say(words: str) -> None:
        os.write(pipe, f"{words}\n".encode())

    record, before = opened(storage), []
    if record.exists():
        before = record.resume(HEADER)
    else:
        record.create(HEADER)
    told = record.told

    def acknowledged(trial: Trial, metrics: dict[str, float], status: str) -> bool:
        new = told(trial, metrics, status)
        if new:
            say(f"{trial.number} {metrics['loss']}")
        return new

    record.told = acknowledged  # type: ignore[method-assign]

    def evaluate(trial: Trial) -> dict[str, float]:
        time.sleep(seconds)
        return {"loss": loss(trial)}

    say("ready")
    run(strategy(), Serial(evaluate), record, Stop(trials), before=before)


class Worker:
    """One in a process of its own, which has begun to search when this is made."""

    def __init__(self, storage: object, trials: int, seconds: float = 0.0) -> None:
        reading, writing = os.pipe()
        context = get_context("fork")  # what is imported here is there at once
        self.process: BaseProcess = context.Process(target=work, args=(str(storage), trials, seconds, writing))
        self.process.start()
        os.close(writing)
        self._lines = os.fdopen(reading)
        assert self._lines.readline() == "ready\n"

    def heard(self) -> dict[int, float]:
        """The results that were acknowledged, when it has ended."""
        with self._lines:
            lines = [line.split() for line in self._lines if line.endswith("\n")]
        self.process.join()
        return {int(number): float(value) for number, value in lines}
