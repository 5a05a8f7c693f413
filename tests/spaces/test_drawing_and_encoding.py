"""Distributions are what they say, and vectors tell candidates apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from space_trees import everything, expressions, ofa, trees, typed

from netwright import spaces
from netwright.errors import UserError
from netwright.spaces import Choice, Constraint, Float, Int, OneOf, Permutation, Repeat, Space, Subset


def uneven() -> Space:
    return Space("uneven", {"op": OneOf({"a": {"k": Choice((1, 2, 3)), "l": Choice((1, 2))}, "b": {}}),
                            "n": Repeat(Choice(("x", "y")), (0, 1, 2)), "s": Subset((1, 2), 1, 2)})


@pytest.mark.parametrize("space", [uneven(), expressions(4), typed(), Space("permutation", Permutation((1, 2, 3)))])
def test_sampling_by_candidate_is_uniform_over_candidates(space: Space) -> None:
    rng, every = np.random.default_rng(0), list(space.enumerate())
    seen = Counter(space.sample(rng, by="candidate") for _ in range(60 * len(every)))
    assert chisquare([seen[candidate] for candidate in every]).pvalue > 1e-3


def test_sampling_by_candidate_stays_uniform_under_constraints() -> None:
    space = Space("c", {"a": Int(1, 5), "b": Int(1, 5)}, constraints=(Constraint("a < b", lambda c: c["a"] < c["b"]),))
    rng, every = np.random.default_rng(0), list(space.enumerate())
    seen = Counter(space.sample(rng, by="candidate") for _ in range(1_000))
    assert len(every) == 10 and chisquare([seen[candidate] for candidate in every]).pvalue > 1e-3


def test_the_three_ways_to_sample_differ_as_they_should() -> None:
    rng, space = np.random.default_rng(0), ofa()
    deepest = {by: np.mean([all(space.sample(rng, by)[f"stages/{stage}.count"] == 4 for stage in range(5))
                            for _ in range(3_000)]) for by in ("decision", "candidate")}
    assert deepest["decision"] == pytest.approx(3**-5, abs=0.004)
    assert deepest["candidate"] == pytest.approx((6561 / 7371) ** 5, abs=0.03)
    prior = Space("prior", {"a": Choice(("x", "y"), prior=(9, 1))})
    assert np.mean([prior.sample(rng, "prior")["a"] == "x" for _ in range(2_000)]) == pytest.approx(0.9, abs=0.03)


def test_grammar_probabilities_are_kept_where_nothing_is_cut() -> None:
    rng, space = np.random.default_rng(0), expressions(60)
    roots = Counter(space.sample(rng, "prior")["value"] for _ in range(3_000))
    assert chisquare([roots[name] for name in ("add", "neg", "x", "k")], [500, 500, 1000, 1000]).pvalue > 1e-3


def test_log_ranges_are_uniform_in_the_logarithm() -> None:
    rng, space = np.random.default_rng(0), Space("log", {"lr": Float(1e-4, 1, log=True), "n": Int(1, 1000, log=True)})
    points = [space.sample(rng) for _ in range(2_000)]
    assert np.mean([point["lr"] < 1e-2 for point in points]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([point["n"] < 32 for point in points]) == pytest.approx(0.55, abs=0.05)


@given(trees)
@settings(max_examples=100, deadline=None)
def test_encoding_has_one_length_and_tells_candidates_apart(tree) -> None:
    space = Space("random", tree)
    if space.count() > 300:
        return
    every = list(space.enumerate())
    vectors = {tuple(space.encode(candidate)) for candidate in every}
    assert len(vectors) == len(every)
    assert {len(vector) for vector in vectors} == {len(space.columns)}


@pytest.mark.parametrize("space", [expressions(5), typed()])
def test_encoding_of_grammars_tells_derivations_apart(space: Space) -> None:
    every = list(space.enumerate())
    assert len({tuple(space.encode(candidate)) for candidate in every}) == len(every)


def test_inactive_decisions_are_marked() -> None:
    space = ofa()
    point = space.repair({f"stages/{stage}.count": 2 for stage in range(5)}, np.random.default_rng(0))
    column = space.columns.index("stages/0/3/kernel")
    assert space.encode(point)[column] == -1
    assert space.encode(point).min() == -1 and space.encode(point).max() <= 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_distance_is_a_metric(seed: int) -> None:
    space, rng = everything(), np.random.default_rng(seed)
    a, b, c = (space.sample(rng) for _ in range(3))
    assert space.distance(a, b) == pytest.approx(space.distance(b, a))
    assert space.distance(a, c) <= space.distance(a, b) + space.distance(b, c) + 1e-9
    assert (space.distance(a, b) == 0) == (a == b)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_every_domain_keeps_to_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def choose(address: str, domain) -> object:
        value = domain.sample(rng)
        assert domain.contains(value)
        assert all(domain.contains(near) and near != value for near in domain.neighbours(value))
        assert len(domain.encode(value)) == len(domain.inactive()) == domain.width
        assert domain.encode(value) != domain.inactive()
        return value

    everything().walk(choose)


@pytest.mark.parametrize(("tree", "message"), [
    ({"a": Choice(())}, "at least one value"),
    ({"a": Choice((1, 1.0))}, "must differ"),
    ({"a": Int(5, 1)}, "low <= high"),
    ({"a/b": 1}, "without"),
    ({"a": {"b": Repeat(Choice((1, 2)), (-1,))}}, r"integers >= 0, not \(-1,\) \(at a/b\)"),
    ({"a": Choice((1, 2), prior=(1,))}, "weight"),
])
def test_a_tree_that_makes_no_sense_is_refused_with_its_place(tree: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Space("bad", tree)


def test_an_unknown_space_is_one_clear_line() -> None:
    with pytest.raises(UserError, match='no space is called "mobilnett"'):
        spaces.get("mobilnett")
