"""Strategies: ask for trials, tell their results.

    strategy = search.get("nsga2")(space, (Objective("error"), Objective("latency_ms", bound=50.0)), seed=0)
    for trial in strategy.ask(8):
        strategy.tell(trial, evaluate(trial.candidate))

A strategy knows a space only as a protocol and imports no space, graph, estimator or device. It is seeded, takes
several objectives and constraints, and is rebuilt exactly by `replay` of a log of what was asked and told.

`Nested` is a search inside a search: one strategy over a part of the space, another over the rest.

To write one: a file in this folder with a `Strategy` subclass (`name`, `propose(rng, number)`, `observe(told)`) and
`strategy = ThatClass`. Feasibility filters, score pools, first candidates, duplicates and seeding are the base's work.
"""

from __future__ import annotations

from netwright.search.base import Metrics, Objective, SpaceLike, Status, Strategy, Told, Trial, replay
from netwright.search.nested import Nested
from netwright.search.registry import get, names

__all__ = [
    "Metrics", "Nested", "Objective", "SpaceLike", "Status", "Strategy", "Told", "Trial", "get", "names", "replay",
]
