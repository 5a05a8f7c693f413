"""EEEA-Net: a first population that is small before anything is trained, on its own space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import search, spaces
from netwright.errors import UserError
from netwright.graph import Type
from netwright.search import Objective

from . import Claim, Measured, System

POPULATION, MILLIONS = 40, 3.0


def filtered(data: Path | None, seed: int) -> Measured:
    """The largest member of the first population, millions of parameters at deployment size."""
    space = spaces.get("eeea")
    x, y = Type((1, 3, 32, 32)), Type((1, 10))

    def size(candidate: object) -> float:
        return space.build(candidate, x, y).graph.parameter_count / 1e6  # type: ignore[arg-type]

    strategy = search.get("early-exit")(space, [Objective("error")], seed=seed, population=POPULATION, size=size,
                                        threshold=MILLIONS)
    sizes = [size(trial.candidate) for trial in strategy.ask(POPULATION)]
    rng = np.random.default_rng(seed)
    plain = [size(space.sample(rng)) for _ in range(POPULATION)]
    note = f"of {POPULATION}; mean {np.mean(sizes):.2f} M, without the filter {np.mean(plain):.2f} M"
    return Measured(max(sizes), max(sizes) <= MILLIONS, note)


def refused(data: Path | None, seed: int) -> Measured:
    """A threshold that nothing reaches ends in one line, naming the least that was drawn."""
    space = spaces.get("eeea", channels=4, cells=3)
    x, y = Type((1, 3, 16, 16)), Type((1, 10))
    strategy = search.get("early-exit")(space, [Objective("error")], seed=seed, draws=30, threshold=0.0,
                                        size=lambda c: space.build(c, x, y).graph.parameter_count)
    try:
        strategy.ask()
    except UserError as error:
        return Measured(1, "the least of 30 draws is" in str(error), str(error))
    return Measured(0, False, "nothing was refused")


system = System(
    name="eeea-net",
    paper="Termritthikun et al. 2021 (EEEA-Net)",
    about="NSGA-II over cells whose first population is filtered by size before training",
    claims=(
        Claim("the first population obeys the threshold", "3 M parameters", "36 channels, 20 cells, CIFAR-10", "M",
              filtered),
        Claim("an unreachable threshold is told at once", "not in the paper", "our own check", "refusals", refused),
    ),
)
