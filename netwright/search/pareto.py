"""Pareto algebra on arrays: dominance with constraints, ranks, crowding, hypervolume. Less is better throughout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def dominates(costs: Array, violations: Array | None = None) -> Array:
    """costs [n, m] -> bool [n, n]: entry (i, j) tells whether i dominates j.

    With violations [n] (0 = feasible) it is constraint domination (Deb et al. 2002, section VI): feasible before
    infeasible, less violation before more, and Pareto dominance among the feasible.
    """
    costs = np.asarray(costs, dtype=float)
    no_worse = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    pareto: Array = np.logical_and(no_worse, ~no_worse.T)
    if violations is None:
        return pareto
    violations = np.asarray(violations, dtype=float)
    less = violations[:, None] < violations[None, :]
    equal = violations[:, None] == violations[None, :]
    return np.logical_or(less, np.logical_and(equal, pareto))


def non_dominated_sort(costs: Array, violations: Array | None = None) -> Array:
    """Ranks [n], 0 for the non-dominated front, 1 for the front without it, and so on (Deb et al. 2002, III-A)."""
    wins = dominates(costs, violations)
    beaten_by = wins.sum(axis=0)
    ranks = np.full(len(beaten_by), -1)
    rank = 0
    while (ranks < 0).any():
        front = (beaten_by == 0) & (ranks < 0)
        ranks[front] = rank
        beaten_by = beaten_by - wins[front].sum(axis=0)
        rank += 1
    return ranks


def front(costs: Array, violations: Array | None = None) -> Array:
    """bool [n]: the members that nothing dominates."""
    return np.logical_not(dominates(costs, violations).any(axis=0))


def best_places(costs: Array, count: int) -> Array:
    """Places [count] by rank, within a rank the less crowded first: `best_of` for many points of two objectives.

    Fronts are peeled off by sweeps until there are enough, in O(n log n) each; other numbers of objectives go to
    `best_of`, which compares every pair.
    """
    costs = np.asarray(costs, dtype=float)
    if costs.shape[1] != 2:
        return best_of(costs, np.zeros(len(costs)), count)
    left, chosen = np.arange(len(costs)), []
    taken = 0
    while taken < count and len(left):
        order = left[np.lexsort((costs[left, 1], costs[left, 0]))]
        second = costs[order, 1]
        lowest = np.minimum.accumulate(second)
        on = np.concatenate(([True], second[1:] < lowest[:-1]))
        members = order[on]
        apart = crowding(costs[members], np.zeros(len(members), dtype=int))
        chosen.append(members[np.argsort(-apart, kind="stable")])
        taken += len(members)
        left = order[~on]
    return np.concatenate(chosen)[:count]


def crowding(costs: Array, ranks: Array) -> Array:
    """Crowding distance [n] within each rank: inf at the ends of every objective (Deb et al. 2002, III-B)."""
    costs = np.asarray(costs, dtype=float)
    distance = np.zeros(len(costs))
    for rank in np.unique(ranks):
        members = np.flatnonzero(ranks == rank)
        for column in costs[members].T:
            order = np.argsort(column, kind="stable")
            ordered = column[order]
            distance[members[order[[0, -1]]]] = np.inf
            if np.isfinite(ordered[[0, -1]]).all() and (spread := ordered[-1] - ordered[0]) > 0:
                distance[members[order[1:-1]]] += (ordered[2:] - ordered[:-2]) / spread
    return distance


def best_of(costs: Array, violations: Array, count: int) -> Array:
    """Indices [<= count] of the survivors: lower rank first, within a rank the less crowded (NSGA-II's selection)."""
    ranks = non_dominated_sort(costs, violations)
    order = np.lexsort((np.arange(len(ranks)), -crowding(costs, ranks), ranks))
    return order[:count]


def hypervolume(costs: Array, reference: Sequence[float]) -> float:
    """The volume that costs [n, m] dominate below `reference` [m]; exact.

    Two objectives by a sweep; more by slicing along the last one (HSO, While et al. 2006), meant for small fronts.
    """
    bound = np.asarray(reference, dtype=float)
    points = np.asarray(costs, dtype=float).reshape(-1, len(bound))
    points = points[(points < bound).all(axis=1)]
    if not len(points):
        return 0.0
    points = np.unique(points, axis=0)
    return _volume(points[front(points)], bound)


def _volume(points: Array, bound: Array) -> float:
    if len(bound) == 1:
        return float(bound[0] - points[:, 0].min())
    if len(bound) == 2:
        points = points[np.lexsort((points[:, 1], points[:, 0]))]
        ceilings = np.concatenate(([bound[1]], np.minimum.accumulate(points[:, 1])[:-1]))
        heights = np.maximum(ceilings - points[:, 1], 0.0)
        return float(((bound[0] - points[:, 0]) * heights).sum())
    points = points[np.argsort(points[:, -1], kind="stable")]
    edges = np.append(points[:, -1], bound[-1])
    total = 0.0
    for place in range(len(points)):
        thickness = edges[place + 1] - edges[place]
        if thickness > 0:
            slice_ = np.unique(points[:place + 1, :-1], axis=0)
            total += thickness * _volume(slice_[front(slice_)], bound[:-1])
    return total
