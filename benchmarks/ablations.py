"""Two strategies against their own ablations: python -m benchmarks.ablations {early-exit,adaptive-mutation}.

early-exit         EEEA-Net's first population, filtered by parameters, against the same NSGA-II without the filter:
                   hypervolume of (error, parameters) and the parameters that were trained in all, on NAS-Bench-201
adaptive-mutation  learned mutation rates against fixed ones: (a) a planted problem, 12 decisions of 5 values of which
                   3 matter: trials to the optimum, and how well the learned rates tell the 3 from the 9 (AUC);
                   (b) NAS-Bench-201's 12-epoch accuracy after 100 queries, test accuracy of what is returned
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu, wilcoxon

from benchmarks.recorded import root
from netwright.estimate.tables import Benchmark, get
from netwright.search import Objective
from netwright.search import get as strategy
from netwright.search.pareto import hypervolume
from netwright.spaces import Choice, Space
from netwright.study.simulate import simulate


def early_exit(table: Benchmark, seeds: int, count: int = 200) -> dict[str, Any]:
    """Hypervolume (reference 100 % error, 1.6 M parameters) and trained parameters, with and without the filter."""
    space, accuracy, params = table.space, table.values("val12"), table.values("params")
    threshold = float(np.nanquantile(params, 0.3))
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        for name, settings in (("filtered", {"size": lambda c: _known(params[table.row(c)]), "threshold": threshold}),
                               ("not filtered", {})):
            goals = [Objective("error"), Objective("params")]
            run = strategy("early-exit")(space, goals, seed=seed, population=20,
                                         accept=lambda c: not np.isnan(params[table.row(c)]), **settings)
            costs = []
            for _ in range(count):
                trial = run.ask()[0]
                row = table.row(trial.candidate)
                costs.append((100 - accuracy[row], params[row]))
                run.tell(trial, {"error": costs[-1][0], "params": costs[-1][1]})
            entry = found.setdefault(name, {"hypervolume": [], "trained": []})
            entry["hypervolume"].append(hypervolume(np.array(costs), (100.0, 1.6)))
            entry["trained"].append(float(sum(cost[1] for cost in costs)))
    one, two = found["filtered"], found["not filtered"]
    return {"threshold_m": threshold, "seeds": seeds, "evaluations": count,
            **{name: {key: float(np.mean(values)) for key, values in entry.items()} for name, entry in found.items()},
            "trained_less": 1 - float(np.sum(one["trained"]) / np.sum(two["trained"])),
            "p_hypervolume_higher": float(
                wilcoxon(one["hypervolume"], two["hypervolume"], alternative="greater").pvalue)}


def _known(value: float) -> float:
    return np.inf if np.isnan(value) else float(value)


def planted(seeds: int, most: int = 400) -> dict[str, Any]:
    """Trials until the three that matter are right, and the AUC of the rates after 150 trials."""
    space = Space("planted", {f"{place:02d}": Choice(("a", "b", "c", "d", "e")) for place in range(12)})
    trials: dict[str, list[int]] = {"learned": [], "fixed": [], "random": []}
    areas = []
    for seed in range(seeds):
        rng = np.random.default_rng(1000 + seed)
        useful = [f"{place:02d}" for place in rng.permutation(12)[:3]]
        for name in trials:
            kind, settings = ("random", {}) if name == "random" else ("adaptive-mutation", {"fixed": name == "fixed",
                                                                                          "rate": 0.1})
            run = strategy(kind)(space, [Objective("loss")], seed=seed, **settings)
            solved = most
            for number in range(most):
                trial = run.ask()[0]
                loss = float(sum("abcde".index(trial.candidate[address]) for address in useful))
                run.tell(trial, {"loss": loss + 0.1 * float(rng.standard_normal())})
                if name == "learned" and number == 149:
                    rates = [run.rate(address) for address in sorted(trial.candidate)]
                    of = np.array([address in useful for address in sorted(trial.candidate)])
                    areas.append(mannwhitneyu(np.array(rates)[~of], np.array(rates)[of]).statistic / (9 * 3))
                if loss == 0 and solved == most:
                    solved = number + 1
                if solved < most and number >= 149:
                    break
            trials[name].append(solved)
    return {"seeds": seeds, "median_trials": {name: float(np.median(values)) for name, values in trials.items()},
            "auc_that_useful_ones_are_mutated_less": float(np.mean(areas))}


def on_table(table: Benchmark, seeds: int) -> dict[str, Any]:
    """Test accuracy of the returned cell after 100 queries."""
    found: dict[str, list[float]] = {"learned": [], "fixed": []}
    for seed in range(seeds):
        for name in found:
            run = strategy("adaptive-mutation")(table.space, [Objective("val12", "max")], seed=seed,
                                                fixed=name == "fixed")
            curve = simulate(run, table, "val12", queries=100)
            found[name].append(float(table.values("test")[curve.chosen]))
    difference = np.array(found["learned"]) - np.array(found["fixed"])
    return {"seeds": seeds, **{name: float(np.mean(values)) for name, values in found.items()},
            "p_learned_better": float(wilcoxon(difference, alternative="greater").pvalue) if difference.any() else 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("early-exit", "adaptive-mutation"))
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, default=30)
    given = parser.parse_args()
    table = get("nb201", str(root(given.data)))
    if given.what == "early-exit":
        print(json.dumps(early_exit(table, given.seeds), indent=1))
        return
    print(json.dumps({"planted": planted(given.seeds), "nb201": on_table(table, given.seeds)}, indent=1))


if __name__ == "__main__":
    main()
