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
POOLED = 4_000  # candidates of a pool where a benchmark has more that are scored, and nothing else is asked for
POINTS = 200  # of a curve
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
    """One strategy on one benchmark at one budget: a curve a seed. `charged` seconds went to scores before it began."""

    benchmark: Benchmark
    strategy: str
    budget: Budget
    curves: list[Curve]
    charged: float = 0.0

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
                    "score_seconds": entry.charged,
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
        """Rows and anytime curves: the mean regret of the incumbent on the searched signal, by query and, where the
        benchmark records seconds, at shares of the longest search's seconds (null before every seed has a result)."""
        return {"signal": self.signal, "seeds": self.seeds, "random_baseline": "by decision", "rows": self.rows(),
                "curves": [{"benchmark": e.benchmark.name, "budget": str(e.budget), "strategy": e.strategy,
                            "regret": anytime(e, self.signal).tolist(), **self.timed(e)} for e in self.entries],
                "correlations": self.correlations(), "claims": self.claims()}

    def claims(self) -> list[dict[str, Any]]:
        """Every entry beside random search at its budget, as `netwright audit` takes them: higher is better."""
        found = []
        for entry in self.entries:
            for signal in self.judged(entry.benchmark) if entry.strategy != RANDOM else ():
                sign = 1.0 if entry.benchmark.signal(signal).better == "max" else -1.0
                arms = [{"name": f"{e.strategy} on {e.benchmark.name}, {signal}", "budget": str(e.budget),
                         "values": [sign * value for value in e.found(signal)]} for e in (entry, self.baseline(entry))]
                arms[0]["selected_by"] = self.signal
                found.append({"method": arms[0], "baseline": arms[1]})
        return found

    def timed(self, entry: Entry) -> dict[str, Any]:
        """`seconds` and `regret_by_seconds` of an entry's curve; nothing where no seconds are recorded."""
        alike = [e for e in self.entries if (e.benchmark, e.budget) == (entry.benchmark, entry.budget)]
        longest = max(curve.seconds[-1] for e in alike for curve in e.curves)
        if longest <= 0 or not entry.benchmark.signal(self.signal).cost:
            return {}
        at = np.linspace(0, longest, POINTS)
        regret = [float(v) if np.isfinite(v) else None for v in by_seconds(entry, self.signal, at)]
        return {"seconds": at.tolist(), "regret_by_seconds": regret}

    def correlations(self) -> list[dict[str, Any]]:
        """How the searched signal ranks the first test signal: over the table, and within its best 1 %."""
        found = []
        for benchmark in dict.fromkeys(entry.benchmark for entry in self.entries):
            judged = self.judged(benchmark)[0]
            whole, within = statistics.rank_correlation(benchmark.values(self.signal), benchmark.values(judged))
            found.append({"benchmark": benchmark.name, "signal": self.signal, "against": judged, "spearman": whole,
                          "within_top_1_percent": within if within == within else None})
        return found


def anytime(entry: Entry, signal: str, points: int = POINTS) -> np.ndarray:
    """[points]: the mean over seeds of the incumbent's regret on the searched signal after each share of the longest
    search's queries; a search that ended earlier stays where it was."""
    values, best = entry.benchmark.values(signal), _best(entry.benchmark, signal)
    longest = max(len(curve.rows) for curve in entry.curves)
    at = np.unique(np.linspace(0, longest - 1, points).astype(int))
    total = np.zeros(len(at))
    for curve in entry.curves:
        places = curve.incumbents[np.minimum(at, len(curve.rows) - 1)]
        total += np.abs(best - values[curve.rows[places]])
    found: np.ndarray = total / len(entry.curves)
    return found


def by_seconds(entry: Entry, signal: str, at: np.ndarray) -> np.ndarray:
    """[points]: the same at `at` charged seconds, scores' among them; infinite before all seeds have a result."""
    values, best = entry.benchmark.values(signal), _best(entry.benchmark, signal)
    total = np.zeros(len(at))
    for curve in entry.curves:
        known = np.searchsorted(curve.seconds, at, side="right")
        places = curve.incumbents[np.maximum(known - 1, 0)]
        total += np.where(known > 0, np.abs(best - values[curve.rows[places]]), np.inf)
    found: np.ndarray = total / len(entry.curves)
    return found


def _best(benchmark: Benchmark, signal: str) -> float:
    values = benchmark.values(signal)
    return float(np.nanmax(values) if benchmark.signal(signal).better == "max" else np.nanmin(values))


def compare(benchmarks: Sequence[Benchmark], strategies: Mapping[str, Mapping[str, Any]], budgets: Sequence[Budget],
            *, signal: str, seeds: int = 10, seed: int = 0, pooled: int = POOLED, score_seconds: float = 0.0,
            tell: Tell = lambda share, words: None) -> Comparison:
    """Run every strategy (name -> settings) on every benchmark at every budget, `seeds` times each.

    Random search, by decision, is added where it is not asked for. Strategies over pools get the benchmark's scored
    candidates (`pooled` drawn for each seed where there are more), and are charged `score_seconds` for each of them
    before their first query. UserError for a signal or strategy that is not there, or where the scores alone cost more
    than a budget.
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
                curves, charged = [], 0.0
                for run in range(seeds):
                    tell(done / steps, f"{benchmark.name}, {budget}: {name}")
                    given: dict[str, Any] = dict(settings)
                    if getattr(search.get(name), "pooled", False):
                        given["candidates"] = pool(benchmark, seed + run, pooled)
                        charged = score_seconds * len(given["candidates"].candidates)
                    if budget.seconds is not None and charged >= budget.seconds:
                        raise UserError(f'the scores that "{name}" looks at cost {charged:g} s, and the budget is '
                                        f"{budget}: take a smaller pool")
                    curves.append(_once(benchmark, name, given, budget, signal, seed + run, charged))
                    done += 1
                comparison.entries.append(Entry(benchmark, name, budget, curves, charged))
    return comparison


def _once(benchmark: Benchmark, name: str, settings: Mapping[str, Any], budget: Budget, signal: str, seed: int,
          charged: float) -> Curve:
    better, maker = benchmark.signal(signal).better, search.get(name)
    try:
        strategy = maker(benchmark.space, [Objective(signal, better)], seed=seed, accept=_recorded(benchmark),
                         **settings)
    except (TypeError, ValueError) as error:
        raise UserError(f'"{name}" does not take these settings: {error}') from None
    return simulate(strategy, benchmark, signal, seconds=budget.seconds, queries=budget.queries, begun=charged)


def _recorded(benchmark: Benchmark) -> Callable[[Any], bool] | None:
    """Whether a candidate has a row, where the table does not hold the whole space."""
    if benchmark.space.bound() == len(benchmark):
        return None

    def known(candidate: Any) -> bool:
        return benchmark.holds(candidate)

    return known


def pool(benchmark: Benchmark, seed: int, most: int = POOLED) -> Pool:
    """The benchmark's scored candidates (all where there are no scores), at most so many of them drawn by the seed."""
    names = [signal.name for signal in benchmark.signals.values() if signal.split == "score"]
    known = np.ones(len(benchmark), dtype=bool)
    for name in names:
        known &= ~np.isnan(benchmark.values(name))
    rows = np.flatnonzero(known)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    candidates = [benchmark.candidate(int(row)) for row in rows]
    features = np.array([benchmark.space.encode(candidate) for candidate in candidates])
    return Pool(candidates, {name: benchmark.values(name)[rows] for name in names}, features)
