"""Pareto algebra against hand-computed values and the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.search.pareto import best_of, crowding, dominates, front, hypervolume, non_dominated_sort


def test_hypervolume_of_hand_computed_fronts() -> None:
    assert hypervolume(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]), (4, 4)) == 6
    assert hypervolume(np.array([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0], [5.0, 0.0]]), (4, 4)) == 9
    assert hypervolume(np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0]]), (3, 3, 3)) == 8 + 3 - 2
    assert hypervolume(np.array([[2.0]]), (5,)) == 3
    assert hypervolume(np.empty((0, 2)), (1, 1)) == 0
    assert hypervolume(np.array([[0.0, 0, 0, 0], [-1, 1, 1, 1]]), (2, 2, 2, 2)) == 16 + 3 - 2


grids = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12)


@given(grids)
@settings(max_examples=100, deadline=None)
def test_hypervolume_counts_the_dominated_unit_cubes(points: list[tuple[int, int, int]]) -> None:
    cells = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    covered = sum(any(all(p <= c for p, c in zip(point, cell)) for point in points) for cell in cells.tolist())
    assert hypervolume(np.array(points, float), (5, 5, 5)) == pytest.approx(covered)


@given(grids, st.lists(st.sampled_from((0.0, 0.0, 1.0, 2.0)), min_size=12, max_size=12))
@settings(max_examples=100, deadline=None)
def test_ranks_follow_constraint_domination(points: list[tuple[int, int, int]], broken: list[float]) -> None:
    costs, violations = np.array(points, float), np.array(broken[:len(points)])
    ranks, wins = non_dominated_sort(costs, violations), dominates(costs, violations)
    assert ((ranks == 0) == front(costs, violations)).all()
    for one, two in np.argwhere(wins):
        assert ranks[one] < ranks[two]
    for member in np.flatnonzero(ranks > 0):
        assert (ranks[wins[:, member]] == ranks[member] - 1).any()
    feasible = violations == 0
    if feasible.any() and (~feasible).any():
        assert ranks[feasible].max() < ranks[~feasible].min()


def test_crowding_of_a_hand_computed_front_keeps_the_ends() -> None:
    costs = np.array([[0.0, 4.0], [1.0, 2.0], [2.0, 1.0], [4.0, 0.0]])
    assert crowding(costs, np.zeros(4)).tolist() == [np.inf, 2 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf]
    assert sorted(best_of(costs, np.zeros(4), 2)) == [0, 3]


def test_unknown_costs_are_allowed_and_last() -> None:
    costs = np.array([[np.inf, np.inf], [1.0, 1.0], [np.inf, np.inf]])
    assert non_dominated_sort(costs).tolist() == [1, 0, 1]
    assert not np.isnan(crowding(costs, np.array([1, 0, 1]))).any()
