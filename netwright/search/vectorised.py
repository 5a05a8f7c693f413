"""Evolution in whole arrays, for searches over a table or a predictor: no trial, no log, one call a generation.

A genome is a row of indices, one for each decision that a candidate may have; decisions that are not made in a
candidate have a value all the same, and the functions that judge genomes pass over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netwright.errors import Refused

Judge = Callable[[np.ndarray], np.ndarray]  # genomes [n, d] -> [n]


@dataclass(frozen=True)
class Found:
    """The best genome [d] with its score and cost, and how many were scored."""

    genome: np.ndarray
    score: float
    cost: float
    evaluations: int


def evolve(sizes: np.ndarray, score: Judge, cost: Judge, limit: float, *, seed: int = 0, population: int = 100,
           generations: int = 500, restarts: int = 3, parents: float = 0.25, mutation: float = 0.5, rate: float = 0.1,
           smallest: np.ndarray | None = None) -> Found:
    """The genome with the highest score whose cost is at most `limit` (Cai et al. 2020, section 3.4).

    sizes     [d] how many values each decision has
    parents   share of a population that has children; `mutation` of these have one parent and change each decision
              with probability `rate`, the rest cross two parents uniformly
    restarts  populations that the generations are divided among, one after the other
    smallest  a genome that is thought to cost least, for telling at once that a limit is out of reach
    Children over the limit are drawn again, so that none that is scored breaks it. Refused, with the nearest cost
    that was seen, where no genome is found below the limit.
    """
    rng = np.random.default_rng(seed)
    each = generations // restarts
    runs = [_once(sizes, score, cost, limit, rng, population, each, parents, mutation, rate, smallest)
            for _ in range(restarts)]
    best = max(runs, key=lambda run: run.score)
    return Found(best.genome, best.score, best.cost, sum(run.evaluations for run in runs))


def _once(sizes: np.ndarray, score: Judge, cost: Judge, limit: float, rng: np.random.Generator, population: int,
          generations: int, parents: float, mutation: float, rate: float, smallest: np.ndarray | None) -> Found:
    least = np.inf if smallest is None else float(cost(smallest[None])[0])
    if smallest is not None and least > limit:
        raise Refused(f"no candidate costs {limit:g} or less: the smallest costs {least:g}")
    people = np.empty((0, len(sizes)), dtype=int)
    for _ in range(200):
        drawn = (rng.random((4 * population, len(sizes))) * sizes).astype(int)
        if smallest is not None:  # pulled towards the smallest, the more the longer nothing fits
            drawn = np.where(rng.random(drawn.shape) < rng.random((len(drawn), 1)), smallest, drawn)
        costs = cost(drawn)
        least = min(least, float(costs.min()))
        people = np.concatenate([people, drawn[costs <= limit]])
        if len(people) >= population:
            break
    if not len(people):
        raise Refused(f"no candidate costs {limit:g} or less; the cheapest that was seen costs {least:g}")
    people = people[:population]
    scores, evaluations = score(people), len(people)
    for _ in range(generations):
        order = np.argsort(-scores, kind="stable")
        people, scores = people[order], scores[order]
        elite = people[: max(2, int(parents * population))]
        children = _children(elite, population - len(elite), sizes, cost, limit, mutation, rate, rng)
        people = np.concatenate([elite, children])
        scores = np.concatenate([scores[: len(elite)], score(children)])
        evaluations += len(children)
    best = int(np.argmax(scores))
    return Found(people[best], float(scores[best]), float(cost(people[best : best + 1])[0]), evaluations)


def _children(elite: np.ndarray, count: int, sizes: np.ndarray, cost: Judge, limit: float, mutation: float,
              rate: float, rng: np.random.Generator) -> np.ndarray:
    kept: list[np.ndarray] = []
    number = 0
    for _ in range(50):
        one = elite[rng.integers(len(elite), size=2 * count)]
        two = elite[rng.integers(len(elite), size=2 * count)]
        mutated = np.where(rng.random(one.shape) < rate, (rng.random(one.shape) * sizes).astype(int), one)
        crossed = np.where(rng.random(one.shape) < 0.5, one, two)
        made = np.where(rng.random((len(one), 1)) < mutation, mutated, crossed)
        fitting = made[cost(made) <= limit]
        kept.append(fitting)
        number += len(fitting)
        if number >= count:
            break
    return np.concatenate([*kept, elite[rng.integers(len(elite), size=max(0, count - number))]])[:count]
