"""NAS-Bench-201: its counts and its protocol, on the recorded table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import search, spaces
from netwright.estimate import tables
from netwright.search import Objective
from netwright.study.simulate import simulate

from . import Claim, Measured, System

RUNS = 100


def _classes(data: Path | None, seed: int) -> Measured:
    from netwright.spaces.zoo.nb201 import string_class

    space = spaces.get("nb201")
    every = list(space.enumerate())
    ours = len({space.key(candidate) for candidate in every})
    theirs = len({string_class(candidate) for candidate in every})
    return Measured(theirs, theirs == 6_466 and len(every) == 15_625,
                    f"{len(every):,} cells; {ours:,} by our canonical form")


def _searched(name: str, published: float, data: Path | None, seed: int) -> Measured:
    table = tables.get("nb201", str(data) if data else None)
    settings = {"population": 10, "sample": 3} if name == "regularised-evolution" else {}
    chosen = []
    for run in range(RUNS):
        strategy = search.get(name)(table.space, [Objective("val12", "max")], seed=seed + run, unique=False, **settings)
        chosen.append(simulate(strategy, table, "val12", seconds=12_000).chosen)
    mean = float(np.mean(table.values("test")[chosen]))
    return Measured(mean, abs(mean - published) <= 0.1, f"mean of {RUNS} runs, not 500; within 0.1 counts as equal")


def random(data: Path | None, seed: int) -> Measured:
    """Random search, by decision."""
    return _searched("random", 93.70, data, seed)


def evolution(data: Path | None, seed: int) -> Measured:
    """Regularised evolution, population 10, sample 3."""
    return _searched("regularised-evolution", 93.92, data, seed)


system = System(
    name="nas-bench-201",
    paper="Dong and Yang 2020 (NAS-Bench-201)",
    about="every cell of a small space trained on three data sets: searches compared without training",
    claims=(
        Claim("distinct cells by its string rule", "6,466 of 15,625", "isomorphism of strings", "cells", _classes),
        Claim("random search", "93.70 ± 0.36 %", "12,000 recorded seconds, CIFAR-10 test, 500 runs", "%", random),
        Claim("regularised evolution", "93.92 ± 0.30 %", "the same", "%", evolution),
    ),
)
