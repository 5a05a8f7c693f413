"""How the settings of the strategy `scored` were chosen: python -m benchmarks.pool_settings [--seeds 40].

On tables other than NAS-Bench-201: DARTS cells (725, and 199 on three data sets) and TransNAS-Bench-101's micro cells
(2,128, and 199 on three). Each seed draws half of a table as its pool; a method sees the recorded accuracy of 20
candidates (8 of the small tables) and returns the best it saw; its regret to the pool's best is given as a share of
what lies between the pool's 70 % and 95 % quantiles, so that tables can be averaged. With --noise the accuracy that is
seen has Gaussian noise of so many of those shares (the 12-epoch accuracy of a search is noisy; these tables' is not).
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from benchmarks.recorded import root
from netwright.estimate.tables import Benchmark, get, zc_other
from netwright.search import Objective, Pool
from netwright.search import get as strategy

METHODS: dict[str, dict[str, Any]] = {
    "scored": {},
    "all scores trusted": {"trusted": ()},
    "trusted with snip and zen": {"trusted": ("synflow", "nwot", "jacov", "snip", "zen")},
    "less by structure": {"kernel": (0.3, 0.3, 0.5, 0.5)},
    "noise 0.2": {"noise": 0.2},
    "scores only": {"kernel": (0.3, 0.3, 0.5, 0.0)},
    "flat prior": {"prior": 0.0},
}


def tables(data: str | None) -> list[tuple[Benchmark, int]]:
    """Every table with its number of queries."""
    small = [(zc_other.benchmark(root(data), space, dataset), 8)
             for space in zc_other.SPACES for dataset in zc_other.DATASETS]
    return [(get("zc-nb301", str(root(data))), 20), (get("zc-tnb101", str(root(data))), 20), *small]


def half(table: Benchmark, rng: np.random.Generator) -> tuple[Pool, np.ndarray]:
    """A random half as a pool with its scores, and the places in the table."""
    at = rng.permutation(len(table))[: len(table) // 2]
    candidates = [table.candidate(row) for row in at]
    scores = {name: table.values(name)[at] for name, signal in table.signals.items() if signal.split == "score"}
    features = one_hot([table.keys[row] for row in at])
    return Pool(candidates, scores, features), at


def one_hot(keys: list[tuple[Any, ...]]) -> np.ndarray:
    """[n, d] of 0 and 1: a column for each value of each decision."""
    columns = [np.array([key[place] == value for key in keys], dtype=float)
               for place in range(len(keys[0])) for value in sorted({key[place] for key in keys}, key=str)]
    return np.array(columns).T


def search(name: str, pool: Pool, seen: np.ndarray, queries: int, seed: int, **settings: Any) -> int:
    """The place in the pool of the best candidate that a strategy saw."""
    run = strategy(name)(None, [Objective("seen", "max")], seed=seed, candidates=pool, **settings)
    for _ in range(queries):
        trial = run.ask()[0]
        run.tell(trial, {"seen": float(seen[pool.place[trial.candidate]])})
    best = run.best()
    assert best is not None
    return pool.place[best.trial.candidate]


def top(values: np.ndarray, seen: np.ndarray, queries: int) -> int:
    """The best of the first so many by `values`."""
    first = np.argsort(-values, kind="stable")[:queries]
    return int(first[np.argmax(seen[first])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.5])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    for noise in given.noise:
        found: dict[str, dict[str, list[float]]] = {}
        for table, queries in tables(given.data):
            for seed in range(given.seeds):
                rng = np.random.default_rng(seed)
                pool, at = half(table, rng)
                truth = table.values("val")[at]
                scale = float(np.subtract(*np.percentile(truth, [95, 70])))
                seen = truth + noise * scale * rng.standard_normal(len(truth))
                picks = {
                    "synflow top": top(pool.normal[:, list(pool.scores).index("synflow")], seen, queries),
                    "mean rank top": top(pool.mean_rank(), seen, queries),
                    "random": top(rng.random(len(seen)), seen, queries),
                    **{name: search("scored", pool, seen, queries, seed, **settings)
                       for name, settings in METHODS.items()},
                }
                for name, pick in picks.items():
                    regret = (float(truth.max()) - float(truth[pick])) / scale
                    found.setdefault(name, {}).setdefault(table.name, []).append(regret)
        for name, by_table in found.items():
            means = {table: float(np.mean(regrets)) for table, regrets in by_table.items()}
            rows.append({"noise": noise, "method": name, "mean": float(np.mean(list(means.values()))), "tables": means})
    if given.json:
        print(json.dumps({"seeds": given.seeds, "rows": rows}, indent=1))
        return
    for row in sorted(rows, key=lambda row: (row["noise"], row["mean"])):
        print(f"noise {row['noise']:.1f}  {row['method']:20s} mean regret {row['mean']:.3f}   "
              + " ".join(f"{value:.2f}" for value in row["tables"].values()))
    print("tables: " + ", ".join(rows[0]["tables"]))


if __name__ == "__main__":
    main()
