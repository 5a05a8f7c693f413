"""Spaces divided: a fixed part, the rest, and a search inside a search; contradictions and empty spaces are said."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from space_trees import everything, expressions, ofa, trees, typed

from netwright import search
from netwright.errors import Refused, UserError
from netwright.search import Nested, Objective, replay
from netwright.spaces import (
    Candidate,
    Cell,
    Choice,
    Constraint,
    Float,
    Grammar,
    Int,
    OneOf,
    Permutation,
    Repeat,
    Space,
    Subset,
)

TOY = Space("toy", {
    "architecture": {"op": OneOf({"conv": {"kernel": Choice((1, 3, 5))}, "pool": None}),
                     "blocks": Repeat(Choice((1, 2)), (1, 2, 3))},
    "device": {"tile": Int(1, 8), "order": Permutation(("a", "b", "c"))},
})
spaces = st.one_of(st.sampled_from((everything(), ofa(), expressions(9), typed(), TOY)),
                   trees.map(lambda tree: Space("random", tree)))
seeds = st.integers(0, 2**32 - 1)


@given(spaces, seeds)
@settings(max_examples=120, deadline=None)
def test_a_space_with_all_decisions_fixed_is_one_candidate(space: Space, seed: int) -> None:
    candidate = space.sample(np.random.default_rng(seed))
    one = space.fix(candidate)
    assert one.count() == 1 and list(one.enumerate()) == [candidate]
    assert one.decode(candidate) == space.decode(candidate)


@given(seeds, st.integers(0, 40))
@settings(max_examples=80, deadline=None)
def test_what_is_fixed_stays_and_the_rest_is_the_whole_spaces(seed: int, number: int) -> None:
    space, rng = ofa(), np.random.default_rng(seed)
    whole = space.sample(rng)
    fixed = dict(list(whole.items())[:number])
    rest = space.fix(fixed)
    one, two = rest.sample(rng), rest.sample(rng, "candidate")
    found = [one, two, rest.crossover(one, two, rng)] + ([rest.mutate(one, rng)] if rest.count() > 1 else [])
    for candidate in found:
        assert space.validate(candidate) == candidate
        assert all(candidate[address] == value for address, value in fixed.items())


def test_the_parts_of_a_product_multiply_to_the_whole() -> None:
    outer, inner = TOY.part("architecture"), TOY.part("device")
    assert outer.count() * inner.count() == TOY.count() == (3 + 1) * (2 + 4 + 8) * 8 * 6
    joined = {Candidate({**a, **b}) for a, b in product(outer.enumerate(), inner.enumerate())}
    assert joined == set(TOY.enumerate())
    for candidate in outer.enumerate():
        assert TOY.fix(candidate).count() == inner.count()
    assert pickle.loads(pickle.dumps(TOY.fix({"device/tile": 3}))).count() == TOY.count() // 8


def test_a_part_inside_what_is_left_out_is_decided_for_every_place() -> None:
    depths, kernels = ofa().part("stages/*.count"), ofa().part(lambda address: address.endswith("kernel"))
    assert depths.count() == 3**5 and kernels.count() == 3**20
    candidate = kernels.sample(np.random.default_rng(0))
    rest = ofa().fix(candidate)
    assert rest.count() == (3**2 + 3**3 + 3**4) ** 5  # expansions and depths
    assert TOY.part("architecture/op/conv").count() == 3


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_grammar_is_a_part_as_a_whole(seed: int) -> None:
    space = Space("both", {"net": typed().tree["net"], "cell": Cell(2, 2, ("a", "b")), "tile": Int(1, 4)})
    rng = np.random.default_rng(seed)
    outer = space.part(("net", "cell"))
    candidate = outer.sample(rng)
    rest = space.fix(candidate)
    assert rest.count() == 4 and space.validate(rest.sample(rng))["tile"] in range(1, 5)
    assert {**rest.sample(rng), "tile": 0} == {**candidate, "tile": 0}


@pytest.mark.parametrize(("decisions", "message"), [
    ({"device/tiles": 1}, 'there is no decision "device/tiles" to fix; did you mean \'device/tile\''),
    ({"device/tile": 9}, "9 is not one of the integers 1..8: fixed"),
    ({"architecture/op": "pool", "architecture/op/conv/kernel": 3}, "there is no decision"),
])
def test_what_cannot_be_fixed_is_named(decisions: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TOY.fix(decisions)
    with pytest.raises(UserError, match="no decision is in the part 'nothing'"):
        TOY.part("nothing")
    with pytest.raises(UserError, match="fix all decisions of a grammar or none"):
        expressions(9).fix({"value": "add"})


def cost(candidate: Candidate) -> dict[str, float]:
    """The best tile of an architecture depends on it."""
    kernel = candidate.get("architecture/op/conv/kernel", 7)
    return {"error": abs(candidate["device/tile"] - kernel) + 10.0 * (candidate["architecture/blocks.count"] != 3)}


def nested(seed: int = 1, **settings: object) -> Nested:
    return Nested(TOY, (Objective("error"),), where="architecture", each=8, seed=seed, **settings)  # type: ignore[arg-type]


def test_a_nested_search_keeps_the_outer_choice_for_each_inner_search_and_tells_its_best() -> None:
    found = nested()
    for _ in range(30):
        trials = found.ask(8)
        outer = {tuple((a, v) for a, v in t.candidate.items() if a.startswith("architecture")) for t in trials}
        assert len(outer) == 1 and len({t.candidate for t in trials}) == 8
        for trial in trials:
            found.tell(trial, cost(trial.candidate))
        assert found.outer.told[-1].costs[0] == min(told.costs[0] for told in found.told[-8:])
    best = found.best()
    assert best is not None and best.costs[0] == 0


def test_a_nested_search_is_rebuilt_from_its_log() -> None:
    found, events = nested(), []
    for _ in range(53):
        (trial,) = found.ask()
        events.append(("ask", trial))
        metrics = cost(trial.candidate)
        found.tell(trial, metrics)
        events.append(("tell", trial, metrics))
    again = nested()
    replay(again, events)
    assert again.ask(20) == found.ask(20)


def test_flows_and_strategies_change_in_one_line() -> None:
    goal = (Objective("error"),)
    for found in (
        search.get("random")(TOY, goal, seed=0),
        nested(outer="random", inner="regularised-evolution"),
        nested(outer="nsga2", inner=search.get("random")),
        Nested(TOY, goal, where="device", each=4),
    ):
        for _ in range(16):
            (trial,) = found.ask()
            assert TOY.validate(trial.candidate) == trial.candidate
            found.tell(trial, cost(trial.candidate))


def test_outer_choices_that_leave_nothing_are_infeasible() -> None:
    small = Constraint("the tile is larger than the kernel", lambda chosen: chosen["tile"] > chosen["kernel"])
    space = Space("tight", {"kernel": Choice((1, 3, 9)), "tile": Int(1, 4)}, constraints=(small,))
    found = Nested(space, (Objective("error"),), where="kernel", outer="random", each=1, seed=0)
    for _ in range(4):
        (trial,) = found.ask()
        assert space.validate(trial.candidate)["kernel"] < 9
        found.tell(trial, {"error": 1.0})
    assert {told.trial.candidate["kernel"] for told in found.outer.told if told.status == "infeasible"} <= {9}


# bad input


def test_contradicting_constraints_are_named_and_others_are_not() -> None:
    space = Space("contradiction", {"a": Int(1, 9), "b": Int(1, 9)}, constraints=(
        Constraint("a is odd", lambda chosen: chosen["a"] % 2 == 1),
        Constraint("a < b", lambda chosen: chosen["a"] < chosen["b"]),
        Constraint("b < a", lambda chosen: chosen["b"] < chosen["a"])))
    with pytest.raises(Refused, match=r'none keeps "a < b" and "b < a" together \(broken: \d+ times "a < b", \d+') as e:
        space.sample(np.random.default_rng(0))
    assert "odd" not in str(e.value) and "\n" not in str(e.value)
    assert space.count() == 0


@pytest.mark.parametrize(("word", "message"), [
    (Choice(()), "a choice needs at least one value"),
    (OneOf({}), "a choice needs at least one value"),
    (Repeat(Choice((1, 2)), ()), "a choice needs at least one value"),
    (Int(3, 2), "needs low <= high"),
    (Float(1.0, 1.0), "needs finite low < high"),
    (Subset(("a",), 2), "needs different values"),
    (Permutation(()), "a permutation needs values"),
    (Cell(2, 2, ()), "a choice needs at least one value"),
    (Grammar({"E": {"more": ("E", "E")}}, "E"), "derives nothing within max_size"),
    (Int(1, 3, prior=(1, 2)), "must give each of 3 values a weight"),
    (Float(0.0, 1.0, prior=(2.0, 1.0)), "is a mean from 0.0 to 1.0"),
    (Subset(("a", "b"), 2, prior=(0.0, 1.0)), "allows no subset"),
])
def test_an_empty_space_is_refused_with_its_place(word: object, message: str) -> None:
    with pytest.raises(ValueError, match=rf'space "empty": .*{message}.* \(at place') as error:
        Space("empty", {"place": word})
    assert "\n" not in str(error.value)


# priors


def test_priors_of_ranges_and_subsets_are_drawn_and_only_by_prior() -> None:
    space = Space("priors", {
        "n": Int(2, 6, step=2, prior=(1, 0, 3)), "rate": Float(1e-4, 1e-1, log=True, prior=(1e-2, 0.5)),
        "set": Subset(("a", "b", "c"), 1, 2, prior=(0.9, 0.5, 0.5))})
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng, "prior") for _ in range(4000)]
    assert {c["n"] for c in drawn} == {2, 6}
    assert np.mean([c["n"] == 6 for c in drawn]) == pytest.approx(0.75, abs=0.04)
    logs = np.log([c["rate"] for c in drawn])
    assert np.mean(logs) == pytest.approx(np.log(1e-2), abs=0.05) and np.std(logs) == pytest.approx(0.5, abs=0.05)
    # exact: weights of the legal subsets, renormalised
    weights = {}
    for bits in product((0, 1), repeat=3):
        if 1 <= sum(bits) <= 2:
            chosen = tuple(name for name, bit in zip("abc", bits, strict=True) if bit)
            weights[chosen] = np.prod([p if bit else 1 - p for p, bit in zip((0.9, 0.5, 0.5), bits, strict=True)])
    for chosen, weight in weights.items():
        share = np.mean([c["set"] == chosen for c in drawn])
        assert share == pytest.approx(weight / sum(weights.values()), abs=0.04)
    assert len({space.sample(rng)["n"] for _ in range(100)}) == 3
