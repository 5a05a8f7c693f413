"""NSGA-III: survivors spread over reference directions (Deb and Jain 2014), for three objectives and more."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from netwright.search.base import Told
from netwright.search.nsga2 import NSGA2, _arrays
from netwright.search.pareto import non_dominated_sort


def directions(goals: int, population: int) -> np.ndarray:
    """Das and Dennis's points on the simplex [k, goals], as many divisions as give at most `population` of them."""
    found = np.eye(goals)
    for divisions in range(1, 100):
        cuts = combinations(range(divisions + goals - 1), goals - 1)
        points = np.array([np.diff((-1, *cut, divisions + goals - 1)) - 1 for cut in cuts]) / divisions
        if len(points) > max(population, goals):
            break
        found = points
    return found


class NSGA3(NSGA2):
    """NSGA-II whose last front is thinned out by reference directions in place of crowding."""

    name = "nsga3"

    def observe(self, told: Told) -> None:
        self._born.append(told)
        if len(self._born) < self.size:
            return
        everyone, self._born = self.survivors + self._born, []
        known = [one for one in everyone if np.isfinite(one.costs).all()] or everyone
        costs, violations = _arrays(known)
        ranks = non_dominated_sort(costs, violations)
        self.survivors = [known[place] for place in self._chosen(costs, ranks)]
        costs, violations = _arrays(self.survivors)
        self._orders = [(rank, 0.0) for rank in non_dominated_sort(costs, violations).tolist()]

    def _chosen(self, costs: np.ndarray, ranks: np.ndarray) -> list[int]:
        kept: list[int] = []
        for rank in range(int(ranks.max()) + 1):
            members = np.flatnonzero(ranks == rank).tolist()
            if len(kept) + len(members) > self.size:
                return kept + self._spread(costs, kept, members)
            kept += members
        return kept

    def _spread(self, costs: np.ndarray, kept: list[int], members: list[int]) -> list[int]:
        """Of a front that is too large, members of the least crowded directions, the nearest to each first."""
        everyone = kept + members
        low, high = costs[everyone].min(axis=0), costs[everyone].max(axis=0)
        scaled = (costs - low) / np.where(high > low, high - low, 1.0)
        rays = directions(costs.shape[1], self.size)
        unit = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        along = scaled @ unit.T
        apart = np.sqrt(np.maximum((scaled**2).sum(axis=1)[:, None] - along**2, 0.0))
        nearest = apart.argmin(axis=1)
        crowd = np.bincount(nearest[kept], minlength=len(rays)) if kept else np.zeros(len(rays), dtype=int)
        left, chosen = list(members), list[int]()
        while len(kept) + len(chosen) < self.size and left:
            open_ = sorted({int(nearest[place]) for place in left}, key=lambda ray: (crowd[ray], ray))
            ray = open_[0]
            best = min((place for place in left if nearest[place] == ray), key=lambda place: apart[place, ray])
            chosen.append(best)
            left.remove(best)
            crowd[ray] += 1
        return chosen


strategy = NSGA3
