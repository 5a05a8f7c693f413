"""Counts are exact, and what they count can be enumerated."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from space_trees import counted, everything, expressions, ofa, trees, typed

from netwright.errors import Refused
from netwright.spaces import Cell, Choice, Constraint, Float, Grammar, Int, Repeat, Space


@given(trees)
@settings(max_examples=150, deadline=None)
def test_count_is_the_length_of_the_enumeration_and_follows_the_definition(tree) -> None:
    space = Space("random", tree)
    assert space.count() == counted(tree)
    if space.count() <= 400:
        every = list(space.enumerate())
        assert len(every) == len(set(every)) == space.count()


def test_once_for_all_has_the_published_count() -> None:
    assert ofa().count() == 7371**5 == 21_758_655_492_572_485_851


def test_nas_bench_201_and_darts_cells_have_the_published_counts() -> None:
    assert Space("nb201", Cell(3, 1, ("none", "skip", "conv1", "conv3", "pool"), "all")).count() == 15_625
    one_cell = Cell(4, 2, ("max", "avg", "skip", "sep3", "sep5", "dil3", "dil5"), 2)
    assert Space("darts", one_cell).count() == 1 * 3 * 6 * 10 * 7**8
    edges = 13 * 13
    nasnet = Cell(5, 2, tuple(range(13)), 2, distinct=False, combine=("add", "concat"))
    assert Space("nasnet", nasnet).count() == math.prod(states**2 * edges * 2 for states in range(2, 7))


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_a_grammar_counts_what_it_enumerates(size: int) -> None:
    every = list(expressions(size).enumerate())
    assert len(set(every)) == len(every) == expressions(size).count()


def test_a_grammar_with_a_state_counts_only_what_the_state_allows() -> None:
    every = list(typed().enumerate())
    assert len(set(every)) == len(every) == typed().count() > 5


def test_a_large_grammar_without_a_state_counts_in_no_time() -> None:
    assert expressions(64).count() > 10**30


def test_depth_bounds_a_grammar() -> None:
    rules = {"E": {"add": ("E", "E"), "x": ()}}
    assert [Space("d", Grammar(rules, "E", max_size=99, max_depth=depth)).count() for depth in (1, 2, 3, 4)] == [
        1, 2, 5, 26]


def test_a_float_makes_the_count_infinite_and_enumeration_refused() -> None:
    assert everything().count() == math.inf
    with pytest.raises(Refused, match="Float"):
        list(Space("f", {"lr": Float(0, 1)}).enumerate())


def test_constraints_are_counted_where_they_can_be_enumerated_and_said_where_not() -> None:
    odd = Constraint("a + b is odd", lambda chosen: (chosen["a"] + chosen["b"]) % 2 == 1)
    assert Space("small", {"a": Int(1, 4), "b": Int(1, 3)}, constraints=(odd,)).count() == 6
    large = Space("large", Repeat(Int(0, 9), (9,)), constraints=(Constraint("any", lambda chosen: True),))
    with pytest.raises(Refused, match="prevent an exact count"):
        large.count()
    assert large.bound() == 10**9


def test_a_tie_adds_nothing_to_the_count_and_a_tied_repeat_decides_once() -> None:
    body = Choice((1, 2, 3))
    assert Space("tied", {"blocks": Repeat(body, (0, 1, 4), tied=True)}).count() == 1 + 3 + 3
    assert Space("free", {"blocks": Repeat(body, (0, 1, 4))}).count() == 1 + 3 + 81
