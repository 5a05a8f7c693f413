"""Trials a second on a recorded table: python -m benchmarks.search_engine [--seconds 2].

NAS-Bench-201 cells, the 12-epoch accuracy looked up in a dict for everybody alike; each round runs every engine for a
share of the seconds of processor time, in turn, and the median over the rounds is printed. Peers that are not
installed are said to be absent: pip install pyglove pymoo nevergrad.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.recorded import root
from netwright.estimate.tables import get
from netwright.search import Objective
from netwright.search import get as strategy
from netwright.spaces.zoo.nb201 import EDGES, OPS

Engine = Callable[[int], None]  # make so many trials
TRIALS = 100


def ours(name: str, table: Any, values: dict[Any, float], **settings: Any) -> Engine:
    """One of our strategies, as a study drives it."""

    def run(count: int) -> None:
        search = strategy(name)(table.space, [Objective("val12", "max")], seed=0, unique=False, **settings)
        for _ in range(count):
            trial = search.ask()[0]
            search.tell(trial, {"val12": values[tuple(trial.candidate.values())]})

    return run


def optuna(sampler: str, values: dict[Any, float]) -> Engine:
    """Optuna's sampler of that name, in memory."""
    import optuna as peer

    peer.logging.set_verbosity(peer.logging.ERROR)

    def run(count: int) -> None:
        study = peer.create_study(direction="maximize", sampler=getattr(peer.samplers, sampler)(seed=0))
        for _ in range(count):
            trial = study.ask()
            study.tell(trial, values[tuple(trial.suggest_categorical(edge, OPS) for edge in EDGES)])

    return run


def pyglove(values: dict[Any, float]) -> Engine:
    """PyGlove's regularised evolution."""
    import pyglove as peer

    def run(count: int) -> None:
        space = peer.Dict({edge: peer.oneof(list(OPS)) for edge in EDGES})
        search = peer.evolution.regularized_evolution(population_size=10, tournament_size=3)
        for example, feedback in peer.sample(space, search, num_examples=count):
            feedback(values[tuple(example[edge] for edge in EDGES)])

    return run


def pymoo(values: dict[Any, float]) -> Engine:
    """pymoo's genetic algorithm over integers."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Cells(ElementwiseProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=6, n_obj=1, xl=0, xu=4, vtype=int)

        def _evaluate(self, x: Any, out: Any, *args: Any, **kwargs: Any) -> None:
            out["F"] = -values[tuple(OPS[i] for i in x)]

    def run(count: int) -> None:
        search = GA(pop_size=10, sampling=IntegerRandomSampling(), crossover=SBX(vtype=float, repair=RoundingRepair()),
                    mutation=PM(vtype=float, repair=RoundingRepair()))
        minimize(Cells(), search, ("n_eval", count), seed=0)

    return run


def nevergrad(values: dict[Any, float]) -> Engine:
    """nevergrad's discrete one-plus-one."""
    import nevergrad as peer

    def run(count: int) -> None:
        space = peer.p.Tuple(*[peer.p.Choice(list(OPS)) for _ in EDGES])
        search = peer.optimizers.DiscreteOnePlusOne(parametrization=space, budget=count)
        for _ in range(count):
            asked = search.ask()
            search.tell(asked, -values[tuple(asked.value)])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--seconds", type=float, default=1.0, help="of processor time for each engine and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    table = get("nb201", str(root(given.data)))
    values = dict(zip(table.keys, table.values("val12").tolist()))
    makers: dict[str, Callable[[], Engine]] = {
        "random": lambda: ours("random", table, values),
        "local-search": lambda: ours("local-search", table, values),
        "regularised-evolution": lambda: ours("regularised-evolution", table, values, population=10, sample=3),
        "nsga2": lambda: ours("nsga2", table, values, population=10),
        "Optuna random": lambda: optuna("RandomSampler", values),
        "Optuna TPE": lambda: optuna("TPESampler", values),
        "PyGlove evolution": lambda: pyglove(values),
        "pymoo GA": lambda: pymoo(values),
        "nevergrad 1+1": lambda: nevergrad(values),
    }
    engines: dict[str, Engine] = {}
    absent = []
    for name, make in makers.items():
        try:
            engines[name] = make()
        except ImportError:
            absent.append(name)
    rates: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(given.rounds):
        for name, run in engines.items():
            began, count = time.process_time(), 0
            while time.process_time() - began < given.seconds:
                run(TRIALS)
                count += TRIALS
            rates[name].append(count / (time.process_time() - began))
    found = {name: statistics.median(values) for name, values in rates.items()}
    if given.json:
        print(json.dumps({"trials_per_s": found, "absent": absent}, indent=1))
        return
    base = found["regularised-evolution"]
    for name, rate in found.items():
        print(f"{name:24s} {rate:10,.0f} trials/s   regularised-evolution is {base / rate:8.1f} times as fast")
    for name in absent:
        print(f"{name:24s} not installed")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
