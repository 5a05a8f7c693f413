"""Searching a recorded benchmark: the readings' own cost is charged, nothing is trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netwright.errors import Refused, UserError
from netwright.estimate.tables import Benchmark
from netwright.search import Strategy


@dataclass(frozen=True)
class Curve:
    """What one search of a benchmark did, one entry a query.

    rows     [n] the benchmark's rows, in the order they were asked
    values   [n] what the search saw of them
    seconds  [n] what had been charged when each was known; all 0 where the benchmark records no cost
    better   "min" or "max", of the values
    """

    rows: np.ndarray
    values: np.ndarray
    seconds: np.ndarray
    better: str

    @property
    def incumbents(self) -> np.ndarray:
        """[n] the place (in this curve) of the best value so far; the earlier of equals."""
        signed = self.values if self.better == "max" else -self.values
        best = np.maximum.accumulate(signed)
        new = np.concatenate(([True], best[1:] > best[:-1]))
        found: np.ndarray = np.maximum.accumulate(np.where(new, np.arange(len(signed)), 0))
        return found

    @property
    def chosen(self) -> int:
        """The row that the search returns: the best by what it saw."""
        return int(self.rows[self.incumbents[-1]])


def simulate(strategy: Strategy, benchmark: Benchmark, signal: str, *, seconds: float | None = None,
             queries: int | None = None, begun: float = 0.0) -> Curve:
    """Run a search on `signal` until its recorded cost, or a count of queries, is used up.

    A query that would end after `seconds` is not made. `begun` seconds are charged before the first (the computing of
    scores, for strategies that look at them). The strategy's first objective must be named like the signal.
    UserError for a test signal, or when neither limit is given or nothing fits into the first.
    """
    found = benchmark.signal(signal)
    if found.split == "test":
        raise UserError(f'"{signal}" is measured on test data; a search may only see validation signals and costs')
    if seconds is None and queries is None:
        raise UserError("give a budget: seconds, queries or both")
    if seconds is not None and not found.cost:
        raise UserError(f'benchmark "{benchmark.name}" records no cost of "{signal}": give the budget as queries')
    column = benchmark.values(signal)
    prices = benchmark.values(found.cost) if found.cost else None
    rows: list[int] = []
    times: list[float] = []
    spent = begun
    while queries is None or len(rows) < queries:
        try:
            trial = strategy.ask()[0]
        except Refused:
            break
        row = benchmark.row(trial.candidate)
        spent += float(prices[row]) if prices is not None else 0.0
        if seconds is not None and spent > seconds:
            break
        rows.append(row)
        times.append(spent)
        value = float(column[row])
        strategy.tell(trial, {signal: value} if value == value else {}, "ok" if value == value else "failed")
    if not rows:
        raise UserError(f'no query of "{benchmark.name}" was made: the first costs more than the budget, '
                        "or nothing fits")
    return Curve(np.array(rows), column[rows], np.array(times), found.better)
