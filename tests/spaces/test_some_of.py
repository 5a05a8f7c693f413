"""SomeOf: bits that switch sub-spaces, one at least on; only what is on is decided."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.errors import UserError
from netwright.spaces import Candidate, Choice, Float, Several, SomeOf, Space


def toy(**together: Any) -> Space:
    parts = {"a": {"size": Choice((1, 2, 3))}, "b": {}, "c": {"pool": Choice(("max", "mean"))}}
    return Space("toy", {"parts": SomeOf(parts, together=together), "width": Choice((8, 16))})


def test_every_candidate_is_counted_once_and_has_a_part() -> None:
    space = toy(join=Choice(("add", "concat")))
    every = list(space.enumerate())
    singles, pairs, whole = 3 + 1 + 2, 3 * 1 + 3 * 2 + 1 * 2, 3 * 1 * 2
    assert len(set(every)) == len(every) == space.count() == 2 * (singles + 2 * (pairs + whole))
    for candidate in every:
        on = [part for part in "abc" if candidate[f"parts/{part}"] == "on"]
        parts, together = space.decode(candidate)["parts"]
        assert list(parts) == on != []
        assert ("parts/join" in candidate) == (together is not None) == (len(on) > 1)
        assert ("parts/a/size" in candidate) == ("a" in on)
        assert space.validate(Candidate.from_json(candidate.to_json())) == candidate


def test_draws_by_candidate_are_uniform() -> None:
    space = toy(join=Choice(("add", "concat")))
    rng = np.random.default_rng(0)
    seen = Counter(space.sample(rng, by="candidate") for _ in range(100 * space.count()))
    assert len(seen) == space.count()
    spread = sum((n - 100) ** 2 / 100 for n in seen.values())
    assert spread < space.count() + 4 * np.sqrt(2 * space.count())  # chi-square, four deviations


@given(st.integers(0, 2**31), st.booleans())
def test_mutants_and_children_hold_the_active_decisions_only(seed: int, many: bool) -> None:
    space, rng = toy(join=Choice(("add", "concat"))), np.random.default_rng(seed)
    a, b = space.sample(rng), space.sample(rng)
    for made in (space.mutate(a, rng, rate=0.5 if many else None), space.crossover(a, b, rng), *space.neighbours(a, rng)):
        assert space.validate(made) == made
        assert space.distance(made, a) > 0 or made == a
        assert len(space.encode(made)) == len(space.columns)


def test_the_encoding_tells_all_candidates_apart() -> None:
    space = toy(join=Choice(("add", "concat")))
    rows = {tuple(space.encode(candidate)) for candidate in space.enumerate()}
    assert len(rows) == space.count()


def test_fixed_bits_leave_candidates_of_the_whole_space() -> None:
    space = toy(join=Choice(("add", "concat")))
    part = space.fix({"parts/b": "off", "parts/c": "off"})
    assert part.count() == 6  # a must be on, whatever its size
    assert {candidate["parts/a"] for candidate in part.enumerate()} == {"on"}
    assert set(part.enumerate()) == {c for c in space.enumerate() if (c["parts/b"], c["parts/c"]) == ("off", "off")}
    assert all(space.validate(candidate) == candidate for candidate in part.enumerate())
    with pytest.raises(UserError, match="one part at least is on"):
        space.fix({f"parts/{name}": "off" for name in "abc"})


def test_a_part_of_the_space_asks_some_bits() -> None:
    space = toy()
    asked = space.part("parts/b")
    assert asked.addresses == ("parts/b",) and asked.count() == 2  # the other parts are taken as on
    assert isinstance(asked.decode(next(asked.enumerate()))["parts"], Several)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="other names"):
        Space("bad", SomeOf({"a": {}}, together={"a": Choice((1, 2))}))
    with pytest.raises(ValueError, match="has parts"):
        Space("bad", SomeOf({}))
    with pytest.raises(UserError, match="is not one of \\['on'\\]"):
        toy().decode({"parts/a": "off", "parts/b": "off", "parts/c": "off", "width": 8})
    assert Space("real", SomeOf({"a": {"share": Float(0, 1)}})).bound() == np.inf
