"""Mutation and crossover cut one subtree and leave everything else as it was, even in large known networks."""

from __future__ import annotations

from posixpath import commonpath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright import search, spaces
from netwright.errors import Refused, UserError
from netwright.graph import Type
from netwright.spaces import Candidate, Choice, Grammar
from netwright.spaces.einspace import seeds
from netwright.spaces.regrown import RegrownSpace

SPACE = spaces.get("einspace", shape=(3, 32, 32))
KNOWN = {name: SPACE.validate(seeds.decisions(network)) for name, network in {
    "resnet": seeds.resnet18(), "wide": seeds.wide_resnet(), "vit": seeds.vit(), "mixer": seeds.mixer()}.items()}
numbers = st.integers(0, 2**32 - 1)


def subtree(candidate: Candidate, top: str) -> dict[str, str]:
    """The decisions at and below `top`, by what follows it in their addresses."""
    return {a[len(top):]: v for a, v in candidate.items() if a == top or a.startswith(top + "/")}


def outside(candidate: Candidate, top: str) -> dict[str, str]:
    return {a: v for a, v in candidate.items() if a != top and not a.startswith(top + "/")}


def redrawn(before: Candidate, after: Candidate) -> list[str]:
    """Decisions with another value that are not below one that has another value."""
    changed = {a for a in {*before, *after} if before.get(a) != after.get(a)}
    parents = {a: "/".join(a.split("/")[:-1]) for a in changed}
    return [a for a in changed if a in before and a in after and not any(
        parents[a] == other or parents[a].startswith(other + "/") for other in changed)]


@given(st.sampled_from(sorted(KNOWN)), numbers)
@settings(max_examples=40, deadline=None)
def test_mutation_of_a_large_seed_changes_one_subtree_and_nothing_outside(name: str, number: int) -> None:
    before = KNOWN[name]
    after = SPACE.mutate(before, np.random.default_rng(number))
    assert after != before and SPACE.validate(after) == after
    assert len(redrawn(before, after)) == 1
    top = redrawn(before, after)[0]
    assert outside(before, top) == outside(after, top)


@given(numbers)
@settings(max_examples=60, deadline=None)
def test_samples_mutants_and_children_stay_in_the_space_and_build(number: int) -> None:
    space, rng = spaces.get("einspace", max_nodes=200), np.random.default_rng(number)
    one, other = space.sample(rng), space.sample(rng)
    for made in (space.mutate(one, rng), space.crossover(one, other, rng), space.mutate(one, rng, number=3)):
        assert space.validate(made) == made
        space.build(made, Type((1, 3, 28, 28)), Type((1, 3)))


@pytest.mark.parametrize(("one", "other"), [("vit", "resnet"), ("resnet", "vit"), ("mixer", "vit")])
def test_crossover_puts_a_subtree_of_one_seed_into_another(one: str, other: str) -> None:
    whole = 0
    for number in range(20):
        made = SPACE.crossover(KNOWN[one], KNOWN[other], np.random.default_rng(number))
        assert SPACE.validate(made) == made != KNOWN[one]
        top = commonpath([a for a in {*KNOWN[one], *made} if KNOWN[one].get(a) != made.get(a)])
        grafted = subtree(made, top)
        whole += any(grafted == subtree(KNOWN[other], donor) for donor in KNOWN[other])
    assert whole >= 16, whole  # the others had to be fitted


def test_mutation_stays_within_the_address_asked_for() -> None:
    within = "network/sequential.1"
    for number in range(10):
        made = SPACE.mutate(KNOWN["resnet"], np.random.default_rng(number), within=within)
        assert redrawn(KNOWN["resnet"], made)[0].startswith(within)


def test_what_cannot_be_kept_is_repaired_within_bounds_or_refused() -> None:
    """Left of the pair decides right: every mutation of the left one changes the right one too."""

    def step(state: str, symbol: str, production: str) -> str | None:
        if symbol == "L":
            return production
        return state if symbol != "R" or production.startswith(state) else None

    rules = {"S": {"pair": ("L", "R")}, "L": {"a": (), "b": ()}, "R": {"a1": (), "b1": ()}}
    space = RegrownSpace("pair", {"g": Grammar(rules, "S", state="", step=step)})
    first = space.sample(np.random.default_rng(0))
    seen = {tuple(space.mutate(first, np.random.default_rng(n)).values()) for n in range(20)}
    assert seen == {("b", "b1")} if first["g/pair.0"] == "a" else {("a", "a1")}
    chain = {"S": {"all": ("L", *("R",) * 5)}, **{k: rules[k] for k in "LR"}}
    long = RegrownSpace("chain", {"g": Grammar(chain, "S", state="", step=step)})
    with pytest.raises(Refused, match="no legal mutation"):
        long.mutate(long.sample(np.random.default_rng(0)), np.random.default_rng(1))
    with pytest.raises(Refused, match="nothing to mutate"):
        long.mutate(long.sample(np.random.default_rng(0)), np.random.default_rng(1), within="elsewhere")
    with pytest.raises(UserError, match="decision missing"):
        long.mutate({}, np.random.default_rng(1))


def test_a_strategy_evolves_a_seed_with_a_recipe_beside_it() -> None:
    space = RegrownSpace("both", {**SPACE.tree, "rate": Choice((0.01, 0.02))}, SPACE.builder)
    first = space.validate({**KNOWN["wide"], "rate": 0.01})
    rng = np.random.default_rng(0)
    initial = [first, *(space.mutate(first, rng) for _ in range(5))]
    strategy = search.get("regularised-evolution")(
        space, (search.Objective("size"),), seed=1, initial=initial, population=6, sample=3)
    for _ in range(30):
        (trial,) = strategy.ask()
        strategy.tell(trial, {"size": float(len(space.validate(trial.candidate)))})
    best = strategy.best()
    assert best is not None and len(best.trial.candidate) < len(first)


def test_samples_are_drawn_by_the_prior_and_are_not_counted() -> None:
    assert SPACE.sample(np.random.default_rng(4)) == SPACE.sample(np.random.default_rng(4), by="prior")
    with pytest.raises(Refused, match="too many states to count"):
        SPACE.bound()
