"""NAS-Bench-201, searched: python -m benchmarks.nb201 {protocol,queries} [--seeds N].

protocol  12,000 recorded seconds, the 12-epoch validation accuracy as objective, the returned cell's test accuracy
          (Dong and Yang 2020, section 5: random 93.70, regularised evolution 93.92 on CIFAR-10, 500 runs); beside
          random search its best-of-budget and the average architecture
queries   20 queries from half of the scored cells (each seed draws its own); regret of the one returned cell to the
          best of that half, beside synflow's first 20, the mean rank's first 20 and 20 random ones of its first 1 %;
          then from all of them, beside what RoBoT published (94.36, 73.51, 46.34)
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from benchmarks.recorded import root
from netwright.estimate.tables import get
from netwright.estimate.tables.nb201 import NB201
from netwright.search import Objective, Pool
from netwright.search import get as strategy
from netwright.study.simulate import simulate

TESTS = ("test", "test-cifar100", "test-imagenet16")
SETTINGS: dict[str, dict[str, Any]] = {
    "random": {}, "regularised-evolution": {"population": 10, "sample": 3}, "local-search": {},
}


def protocol(table: NB201, seeds: int) -> list[dict[str, Any]]:
    """One row a strategy: mean and deviation of the three test accuracies over seeds."""
    rows = []
    for name, settings in SETTINGS.items():
        began = time.process_time()
        chosen, queries = [], 0
        for seed in range(seeds):
            run = strategy(name)(table.space, [Objective("val12", "max")], seed=seed, unique=False, **settings)
            curve = simulate(run, table, "val12", seconds=12_000)
            chosen.append(curve.chosen)
            queries += len(curve.rows)
        rate = queries / (time.process_time() - began)
        rows.append({"what": name, "seeds": seeds, "queries": queries / seeds, "trials_per_s": rate,
                     **{test: _mean(table.values(test)[chosen]) for test in TESTS}})
    return rows


def pool_of(table: NB201, rows: np.ndarray) -> Pool:
    """These rows with their training-free scores and encodings."""
    candidates = [table.candidate(row) for row in rows]
    scores = {name: table.values(name)[rows] for name, signal in table.signals.items() if signal.split == "score"}
    return Pool(candidates, scores, np.array([table.space.encode(candidate) for candidate in candidates]))


def queries(table: NB201, seeds: int, count: int = 20, share: float = 0.5) -> list[dict[str, Any]]:
    """One row a method: regrets of its cell to the best of the pool, by test column."""
    everything = pool_of(table, table.scored)
    seen = table.values("val12")
    regrets: dict[str, dict[str, list[float]]] = {}
    values: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        size = int(share * len(table.scored))
        at = np.sort(rng.permutation(len(table.scored))[:size]) if share < 1 else np.arange(size)
        rows = table.scored[at]
        assert everything.features is not None
        pool = Pool([everything.candidates[i] for i in at], {n: v[at] for n, v in everything.scores.items()},
                    everything.features[at])
        best = rng.permutation(np.argsort(-pool.mean_rank(), kind="stable")[: max(count, size // 100)])[:count]
        picks = {
            "synflow's first": _best(np.argsort(-pool.scores["synflow"], kind="stable")[:count], rows, seen),
            "mean rank's first": _best(np.argsort(-pool.mean_rank(), kind="stable")[:count], rows, seen),
            "random of its first 1 %": _best(best, rows, seen),
            "scored": searched("scored", table, pool, count, seed),
            "robot": searched("robot", table, pool, count, seed, budget=count),
        }
        for name, row in picks.items():
            for test in TESTS:
                column = table.values(test)
                regrets.setdefault(name, {}).setdefault(test, []).append(float(column[rows].max() - column[row]))
                values.setdefault(name, {}).setdefault(test, []).append(float(column[row]))
    return [{"what": name, "seeds": seeds, "queries": count, "pool": share,
             "regret": {test: _mean(np.array(found[test])) for test in TESTS},
             "accuracy": {test: _mean(np.array(values[name][test])) for test in TESTS}}
            for name, found in regrets.items()]


def searched(name: str, table: NB201, pool: Pool, count: int, seed: int, **settings: Any) -> int:
    """The row that a strategy over the pool returns."""
    run = strategy(name)(table.space, [Objective("val12", "max")], seed=seed, candidates=pool, **settings)
    return simulate(run, table, "val12", queries=count).chosen


def _best(places: np.ndarray, rows: np.ndarray, seen: np.ndarray) -> int:
    asked = rows[places]
    return int(asked[np.argmax(seen[asked])])


def _mean(values: np.ndarray) -> dict[str, float]:
    return {"mean": float(values.mean()), "deviation": float(values.std(ddof=1)) if len(values) > 1 else 0.0}


def _spelled(found: dict[str, dict[str, float]], digits: int) -> str:
    return "  ".join(f"{found[test]['mean']:.{digits}f} ± {found[test]['deviation']:.2f}" for test in TESTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("protocol", "queries"))
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    table = get("nb201", str(root(given.data)))
    assert isinstance(table, NB201)
    if given.what == "protocol":
        rows = protocol(table, given.seeds or 500)
        average = {test: float(table.values(test).mean()) for test in TESTS}
        if given.json:
            print(json.dumps({"rows": rows, "average architecture": average}, indent=1))
            return
        for row in rows:
            rate = f"{row['queries']:.0f} queries   {row['trials_per_s']:,.0f} a second"
            print(f"{row['what']:24s} {_spelled(row, 2)}   {rate}")
        print(f"{'average architecture':24s} " + "  ".join(f"{value:.2f}" for value in average.values()))
        return
    halves, whole = queries(table, given.seeds or 50), queries(table, given.seeds or 50, share=1.0)
    if given.json:
        print(json.dumps({"half": halves, "whole": whole}, indent=1))
        return
    print("regret to the best of a half: CIFAR-10, CIFAR-100, ImageNet16-120")
    for row in halves:
        print(f"  {row['what']:24s} {_spelled(row['regret'], 3)}")
    print("accuracy from all scored cells (RoBoT published 94.36, 73.51, 46.34)")
    for row in whole:
        print(f"  {row['what']:24s} {_spelled(row['accuracy'], 2)}")


if __name__ == "__main__":
    main()
