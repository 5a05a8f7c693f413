"""A grid of strategies over recorded benchmarks, with the random baseline of the same space and budget in it always."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netwright import search
from netwright.errors import UserError
from netwright.estimate.tables import Benchmark
from netwright.search import Objective, Pool

from . import statistics
from .simulate import Curve, simulate

RANDOM = "random"
POOLED = 4_000  # candidates of a pool where a benchmark has more that are scored
Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Budget:
    """What one search may use: recorded seconds, queries, or whichever ends first."""

    seconds: float | None = None
    queries: int | None = None

    def __str__(self) -> str:
        said = [f"{self.seconds:g} s"] if self.seconds is not None else []
        return " and ".join(said + ([f"{self.queries} queries"] if self.queries is not None else []))


@dataclass(frozen=True)
class Entry:
    """One strategy on one benchmark at one budget: a curve a seed."""

    benchmark: Benchmark
    strategy: str
    budget: Budget
    curves: list[Curve]

    def found(self, signal: str) -> list[float]:
        """[seeds] the returned candidates' values of any signal, tests included: read once, after the search."""
        return self.benchmark.values(signal)[[curve.chosen for curve in self.curves]].tolist()


@dataclass
class Comparison:
    """All entries; `rows()` is the table and `to_json()` what `netwright compare --json` prints."""

    signal: str
    seeds: int
    entries: list[Entry] = field(default_factory=list)

    def judged(self, benchmark: Benchmark) -> list[str]:
        """The signals that entries are judged by: the tests, or what was searched where there are none."""
        return [s.name for s in benchmark.signals.values() if s.split == "test"] or [self.signal]

    def baseline(self, entry: Entry) -> Entry:
        """Random search on the same benchmark at the same budget."""
        return next(e for e in self.entries if (e.benchmark, e.budget, e.strategy) ==
                    (entry.benchmark, entry.budget, RANDOM))

    def rows(self) -> list[dict[str, Any]]:
        """One row for every entry and signal. `over_random` and `p` compare with random search at the same budget,
        `over_average` with the average architecture of the table (its population is the whole table)."""
        rows: list[dict[str, Any]] = []
        for entry in self.entries:
            for signal in self.judged(entry.benchmark):
                values, base = entry.found(signal), self.baseline(entry).found(signal)
                better = entry.benchmark.signal(signal).better
                whole = entry.benchmark.values(signal)
                mean = statistics.interval(values)
                over = statistics.relative_improvement(values, base)
                rows.append({
                    "benchmark": entry.benchmark.name, "budget": str(entry.budget), "strategy": entry.strategy,
                    "signal": signal, "seeds": len(values), "mean": mean.mean, "low": mean.low, "high": mean.high,
                    "queries": float(np.mean([len(curve.rows) for curve in entry.curves])),
                    "over_random_percent": over.mean, "over_random_low": over.low, "over_random_high": over.high,
                    "over_average_percent": 100 * (mean.mean / float(np.nanmean(whole)) - 1),
                    "regret": float(abs((np.nanmax(whole) if better == "max" else np.nanmin(whole)) - mean.mean)),
                    "p": None if entry.strategy == RANDOM else statistics.better(values, base, better),
                })
        tested = [row for row in rows if row["p"] is not None]
        for row, value in zip(tested, statistics.corrected([row["p"] for row in tested])):
            row["p"] = value
        return rows

    def to_json(self) -> dict[str, Any]:
        """Rows and anytime curves (mean regret of the incumbent on the searched signal, by query)."""
        return {"signal": self.signal, "seeds": self.seeds, "random_baseline": "by decision", "rows": self.rows(),
                "curves": [{"benchmark": e.benchmark.name, "budget": str(e.budget), "strategy": e.strategy,
                            "regret": anytime(e, self.signal).tolist()} for e in self.entries],
                "correlations": self.correlations()}

    def correlations(self) -> list[dict[str, Any]]:
        """How the searched signal ranks the first test signal: over the table, and within its best 1 %."""
        found = []
        for benchmark in dict.fromkeys(entry.benchmark for entry in self.entries):
            judged = self.judged(benchmark)[0]
            whole, within = statistics.rank_correlation(benchmark.values(self.signal), benchmark.values(judged))
            found.append({"benchmark": benchmark.name, "signal": self.signal, "against": judged, "spearman": whole,
                          "within_top_1_percent": within if within == within else None})
        return found


def anytime(entry: Entry, signal: str, points: int = 200) -> np.ndarray:
    """[points]: the mean over seeds of the incumbent's regret on the searched signal after each share of the longest
    search's queries; a search that ended earlier stays where it was."""
    values = entry.benchmark.values(signal)
    better = entry.benchmark.signal(signal).better
    best = np.nanmax(values) if better == "max" else np.nanmin(values)
    longest = max(len(curve.rows) for curve in entry.curves)
    at = np.unique(np.linspace(0, longest - 1, points).astype(int))
    total = np.zeros(len(at))
    for curve in entry.curves:
        places = curve.incumbents[np.minimum(at, len(curve.rows) - 1)]
        total += np.abs(best - values[curve.rows[places]])
    found: np.ndarray = total / len(entry.curves)
    return found


def compare(benchmarks: Sequence[Benchmark], strategies: Mapping[str, Mapping[str, Any]], budgets: Sequence[Budget],
            *, signal: str, seeds: int = 10, seed: int = 0, tell: Tell = lambda share, words: None) -> Comparison:
    """Run every strategy (name -> settings) on every benchmark at every budget, `seeds` times each.

    Random search, by decision, is added where it is not asked for. Strategies over pools get the benchmark's scored
    candidates (4,000 drawn for each seed where there are more). UserError for a signal or strategy that is not there.
    """
    names = {RANDOM: {}, **{name: dict(settings) for name, settings in strategies.items()}}
    for name in names:
        search.get(name)
    for benchmark in benchmarks:
        if benchmark.signal(signal).split == "test":
            raise UserError(f'"{signal}" is measured on test data; a search may only see validation signals and costs')
    comparison = Comparison(signal, seeds)
    steps, done = len(benchmarks) * len(names) * len(budgets) * seeds, 0
    for benchmark in benchmarks:
        for budget in budgets:
            for name, settings in names.items():
                curves = []
                for run in range(seeds):
                    tell(done / steps, f"{benchmark.name}, {budget}: {name}")
                    curves.append(_once(benchmark, name, settings, budget, signal, seed + run))
                    done += 1
                comparison.entries.append(Entry(benchmark, name, budget, curves))
    return comparison


def _once(benchmark: Benchmark, name: str, settings: Mapping[str, Any], budget: Budget, signal: str,
          seed: int) -> Curve:
    better = benchmark.signal(signal).better
    given: dict[str, Any] = dict(settings)
    maker = search.get(name)
    if getattr(maker, "pooled", False):
        given["candidates"] = pool(benchmark, seed)
    try:
        strategy = maker(benchmark.space, [Objective(signal, better)], seed=seed, accept=_recorded(benchmark), **given)
    except (TypeError, ValueError) as error:
        raise UserError(f'"{name}" does not take these settings: {error}') from None
    return simulate(strategy, benchmark, signal, seconds=budget.seconds, queries=budget.queries)


def _recorded(benchmark: Benchmark) -> Callable[[Any], bool] | None:
    """Whether a candidate has a row, where the table does not hold the whole space."""
    if benchmark.space.bound() == len(benchmark):
        return None

    def known(candidate: Any) -> bool:
        return benchmark.holds(candidate)

    return known


def pool(benchmark: Benchmark, seed: int) -> Pool:
    """The benchmark's scored candidates (all where there are no scores), at most 4,000 of them drawn by the seed."""
    names = [signal.name for signal in benchmark.signals.values() if signal.split == "score"]
    known = np.ones(len(benchmark), dtype=bool)
    for name in names:
        known &= ~np.isnan(benchmark.values(name))
    rows = np.flatnonzero(known)
    if len(rows) > POOLED:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:POOLED])
    candidates = [benchmark.candidate(int(row)) for row in rows]
    features = np.array([benchmark.space.encode(candidate) for candidate in candidates])
    return Pool(candidates, {name: benchmark.values(name)[rows] for name in names}, features)
