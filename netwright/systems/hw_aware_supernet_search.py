"""DyNAS-T's LINAS on recorded NAS-Bench-201 latencies: fewer measurements than NSGA-II for the same front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netwright import search
from netwright.estimate import tables
from netwright.estimate.predictors.gaussian_process import GaussianProcess
from netwright.search import Objective
from netwright.search.pareto import hypervolume

from . import Claim, Measured, System

DEVICE, RUNS, MOST = "latency:eyeriss", 3, 250


def _volumes(name: str, table: tables.Benchmark, seed: int, **settings: Any) -> list[float]:
    """Hypervolume after each measurement (reference 80 %, the 95 % quantile of latency)."""
    reference = (-80.0, float(np.percentile(table.values(DEVICE), 95)))
    goals = [Objective("val200", "max"), Objective(DEVICE)]
    strategy = search.get(name)(table.space, goals, seed=seed, **settings)
    costs, found = [], []
    for _ in range(MOST):
        trial = strategy.ask()[0]
        row = table.row(trial.candidate)
        metrics = {"val200": float(table.values("val200")[row]), DEVICE: float(table.values(DEVICE)[row])}
        strategy.tell(trial, metrics)
        costs.append((-metrics["val200"], metrics[DEVICE]))
        found.append(hypervolume(np.array(costs), reference))
    return found


def fewer(data: Path | None, seed: int) -> Measured:
    """Measurements that NSGA-II needs over those LINAS needs, for NSGA-II's last hypervolume."""
    table = tables.get("nb201-latency", str(data) if data else None)
    every = table.candidates()
    codes = np.array([table.space.encode(candidate) for candidate in every])
    shares = []
    for run in range(seed, seed + RUNS):
        plain = _volumes("nsga2", table, run)
        worst = (80.0, float(np.percentile(table.values(DEVICE), 95)))
        ours = _volumes("linas", table, run, predictor=GaussianProcess, everything=every, codes=codes, first=30,
                        reference=worst)
        needed = next((n for n, volume in enumerate(ours, 1) if volume >= plain[-1]), MOST)
        first = next(n for n, volume in enumerate(plain, 1) if volume >= plain[-1])
        shares.append(first / needed)
    mean = float(np.mean(shares))
    note = f"NAS-Bench-201 on Eyeriss (estimates), {RUNS} runs; predicts by a Gaussian process"
    return Measured(mean, mean >= 2, note)


system = System(
    name="hw-aware-supernet-search",
    paper="Sarah, Cummings, Sridhar et al. 2022 (DyNAS-T, LINAS)",
    about="rounds of measuring, weak predictors and evolution on them, for several objectives",
    claims=(
        Claim("measurements of NSGA-II over LINAS's for the same hypervolume", "about 2 (on its own published runs)",
              "Once-for-All MobileNetV3, top-1 and MACs, one seed each", "times", fewer),
    ),
)
