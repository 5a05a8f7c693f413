"""Accuracy and latency at once: python -m benchmarks.multi_objective {nb201,ofa-surrogate} [--seeds N].

nb201  29 device settings; objective val200 and latency, reference point (80 %, the 95 % quantile of latency), 250
       measurements. The exact front is known by enumeration: the share of its hypervolume that was measured, for
       linas (which is told the reference point), nsga2 and random search (by decision), over seeds.
ofa-surrogate  top-1 and MACs of Once-for-All sub-networks on 2,373 published measurements: a surrogate (one bagged
       forest a seed, with its own residuals as noise; not the kind of model that linas predicts with) stands for the
       measuring; evaluations that nsga2 takes for the hypervolume that linas has at half of them
"""

from __future__ import annotations

import argparse
import ast
import json
from typing import Any

import numpy as np

from benchmarks.recorded import root
from netwright.estimate.predictors.gaussian_process import GaussianProcess
from netwright.estimate.tables import Benchmark, get
from netwright.search import Objective
from netwright.search import get as strategy
from netwright.search.pareto import hypervolume
from netwright.spaces import get as space_of

METHODS = ("linas", "nsga2", "random")


def nb201(table: Benchmark, seeds: int, count: int, only: list[str] | None) -> list[dict[str, Any]]:
    """One row a device: the mean share of the exact hypervolume by method."""
    accuracy = table.values("val200")
    everything = table.candidates()
    codes = np.array([table.space.encode(candidate) for candidate in everything])
    rows = []
    for name, signal in table.signals.items():
        if not name.startswith("latency:") or (only and name.split(":")[1] not in only):
            continue
        latency = table.values(signal.name)
        known = latency[~np.isnan(latency)]
        reference = (-80.0, float(np.percentile(known, 95)))
        costs = np.array([-accuracy, np.where(np.isnan(latency), np.inf, latency)]).T
        exact = hypervolume(_front(costs), reference)
        shares: dict[str, list[float]] = {}
        for method in METHODS:
            for seed in range(seeds):
                settings: dict[str, Any] = {}
                if method == "linas":
                    settings = {"everything": everything, "codes": codes, "predictor": GaussianProcess, "first": 30,
                                "reference": (80.0, reference[1])}
                goals = [Objective("val200", "max"), Objective(name)]
                run = strategy(method)(table.space, goals, seed=seed, **settings)
                found = []
                for _ in range(count):
                    trial = run.ask()[0]
                    row = table.row(trial.candidate)
                    if np.isinf(costs[row, 1]):
                        run.tell(trial, {}, "infeasible")
                        continue
                    run.tell(trial, {"val200": accuracy[row], name: latency[row]})
                    found.append(costs[row])
                shares.setdefault(method, []).append(hypervolume(_front(np.array(found)), reference) / exact)
        rows.append({"device": name.split(":")[1], **{m: float(np.mean(v)) for m, v in shares.items()}})
        print(f"{rows[-1]['device']:18s} " + "  ".join(f"{m} {rows[-1][m]:.4f}" for m in METHODS), flush=True)
    return rows


def _front(costs: np.ndarray) -> np.ndarray:
    order = costs[np.lexsort((costs[:, 1], costs[:, 0]))]
    on = np.concatenate(([True], order[1:, 1] < np.minimum.accumulate(order[:, 1])[:-1]))
    found: np.ndarray = order[on]
    return found


def ofa(data: Any, seeds: int, count: int) -> dict[str, Any]:
    """Mean hypervolume after so many evaluations by method."""
    from sklearn.ensemble import RandomForestRegressor

    from netwright.estimate.tables.files import read

    space = space_of("ofa-mobilenetv3")
    recorded = read(data / "dynast-ofa" / "dynast_ofa_mbv3_w10.parquet")
    candidates = [candidate_of(ast.literal_eval(text)) for text in recorded["arch"]]
    x = np.array([space.encode(space.validate(candidate)) for candidate in candidates])
    reference = (-70.0, 6e8)
    places = (50, 100, 125, 250, 500)
    found: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        models = []
        for column in ("top1", "macs"):
            forest = RandomForestRegressor(100, oob_score=True, random_state=seed, n_jobs=1, min_samples_leaf=2)
            forest.fit(x, recorded[column])
            models.append((forest, float(np.std(recorded[column] - forest.oob_prediction_))))
        rng = np.random.default_rng(seed)
        noise: dict[Any, float] = {}
        for method in METHODS:
            settings: dict[str, Any] = {"predictor": GaussianProcess} if method == "linas" else {}
            run = strategy(method)(space, [Objective("top1", "max"), Objective("macs")], seed=seed, **settings)
            costs, volumes = [], []
            for _ in range(count):
                trial = run.ask()[0]
                code = space.encode(trial.candidate)[None]
                extra = noise.setdefault(trial.candidate, float(rng.standard_normal()))
                top1 = float(models[0][0].predict(code)[0]) + extra * models[0][1]
                macs = float(models[1][0].predict(code)[0])
                run.tell(trial, {"top1": top1, "macs": macs})
                costs.append((-top1, macs))
                if len(costs) in places:
                    volumes.append(hypervolume(_front(np.array(costs)), reference) / 1e8)
            found.setdefault(method, []).append(volumes)
    return {m: dict(zip(map(str, places), np.mean(v, axis=0).tolist())) for m, v in found.items()}


def candidate_of(arch: dict[str, Any]) -> dict[str, Any]:
    """A recorded sub-network (20 kernels and expansions, 5 depths) as decisions of the space."""
    decisions: dict[str, Any] = {}
    for stage, depth in enumerate(arch["d"]):
        decisions[f"units/{stage}.count"] = depth
        for block in range(depth):
            for name, key in (("kernel", "ks"), ("expand", "e")):
                decisions[f"units/{stage}/{block}/{name}"] = arch[key][4 * stage + block]
    return decisions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("nb201", "ofa-surrogate"))
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--devices", nargs="+", help="only these")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    data = root(given.data)
    if given.what == "ofa-surrogate":
        print(json.dumps(ofa(data, given.seeds, 500), indent=1))
        return
    rows = nb201(get("nb201-latency", str(data)), given.seeds, 250, given.devices)
    mean = {method: float(np.mean([row[method] for row in rows])) for method in METHODS}
    worst = min(rows, key=lambda row: row["linas"])
    if given.json:
        print(json.dumps({"rows": rows, "mean": mean, "worst": worst}, indent=1))
        return
    print(f"{'mean':18s} " + "  ".join(f"{m} {mean[m]:.4f}" for m in METHODS) + f"   worst {worst['device']}")


if __name__ == "__main__":
    main()
