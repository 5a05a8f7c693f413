"""PyGlove: one space, algorithms exchanged by one word, on the recorded NAS-Bench-201."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import search, spaces
from netwright.estimate import tables
from netwright.search import Objective
from netwright.study.simulate import simulate

from . import Claim, Measured, System

RUNS = 40


def evolution(data: Path | None, seed: int) -> Measured:
    """Regularised evolution (20, 5) after 100 trials."""
    table = tables.get("nb201", str(data) if data else None)
    chosen = []
    for run in range(seed, seed + RUNS):
        strategy = search.get("regularised-evolution")(table.space, [Objective("val12", "max")], seed=run,
                                                       population=20, sample=5)
        chosen.append(simulate(strategy, table, "val12", queries=100).chosen)
    found = table.values("test")[chosen]
    note = f"{RUNS} runs, deviation {found.std(ddof=1):.2f}; the peer's 94.09 ± 0.29 was recorded by us over 10 runs"
    return Measured(float(found.mean()), abs(found.mean() - 94.09) < 0.15, note)


def laws(data: Path | None, seed: int) -> Measured:
    """Size of a space against the number of its distinct candidates, nested and conditional."""
    from netwright.spaces import Choice, OneOf, Permutation, Repeat, Space, Subset

    space = Space("laws", {"op": OneOf({"a": {"k": Choice((3, 5)), "n": Repeat(Choice((1, 2)), (0, 1, 2))}, "b": {}}),
                           "order": Permutation((1, 2, 3)), "some": Subset(("p", "q", "r"), 1, 2)})
    swept = len(set(space.enumerate()))
    return Measured(swept, swept == space.count() == spaces_size(), "candidates swept; the count is worked out apart")


def spaces_size() -> int:
    """(2 * (1 + 2 + 4) + 1) * 3! * (3 + 3), by hand."""
    return (2 * 7 + 1) * 6 * 6


def lines(data: Path | None, seed: int) -> Measured:
    """Every strategy over one space, changed by its name alone."""
    space = spaces.get("nb201")
    goals = [Objective("ones", "max")]
    worked = 0
    for name in search.names():
        if name in ("robot", "optuna"):  # one needs scores, the other is Optuna's
            continue
        strategy = search.get(name)(space, goals, seed=seed)
        for trial in strategy.ask(3):
            ones = float(np.sum([value == "nor_conv_3x3" for value in trial.candidate.values()]))
            strategy.tell(trial, {"ones": ones})
            worked += 1
    return Measured(worked / 3, worked / 3 >= 10, "strategies that search the space when their name is put in")


system = System(
    name="pyglove",
    paper="Peng et al. 2020 (PyGlove)",
    about="search spaces as symbolic data, apart from the programs they make and the algorithms that search them",
    claims=(
        Claim("evolution on NAS-Bench-201 after 100 trials", "94.09 ± 0.29 % (PyGlove 0.4.5, recorded by us)",
              "population 20, tournament 5, 12-epoch objective, CIFAR-10 test", "%", evolution),
        Claim("the size of a space is the number of its candidates", "holds", "nested and conditional choices",
              "candidates", laws),
        Claim("algorithms are exchanged by one line", "one line each", "the same space", "strategies", lines),
    ),
)
