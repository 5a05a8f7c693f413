"""Grammars: probabilities that stay whatever else is possible, states that say at once what they allow, retreat."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from space_trees import typed

from netwright.spaces import Grammar, Space
from netwright.spaces.domain import Domain, stream
from netwright.spaces.grammar import Machine

RULES: dict[str, dict[str, tuple[str, ...]]] = {
    "E": {"two": ("E", "E"), "one": ("E",), "leaf": ("L",)}, "L": {"x": (), "y": ()}}


def test_a_fixed_probability_stays_where_other_productions_fall_away() -> None:
    machine = Machine(Grammar(RULES, "E", {"E": {"two": 3, "one": 1, "leaf": 7}}, fixed={"E": {"leaf": 0.4}}))
    assert machine.domain("E", ("two", "one", "leaf")).prior == pytest.approx((0.45, 0.15, 0.4))
    assert machine.domain("E", ("one", "leaf")).prior == pytest.approx((0.6, 0.4))
    assert machine.domain("E", ("two", "one")).prior == pytest.approx((0.75, 0.25))
    assert machine.domain("E", ("leaf",)).prior == (1.0,)


@pytest.mark.parametrize("fixed", [{"E": {"three": 0.1}}, {"E": {"two": 0.7, "one": 0.7}}, {"F": {"two": 0.5}},
                                   {"E": {"two": -0.1}}])
def test_fixed_probabilities_that_make_no_sense_are_refused(fixed: Any) -> None:
    with pytest.raises(ValueError, match="fixed probabilities"):
        Space("wrong", Grammar(RULES, "E", fixed=fixed))


def test_offers_change_nothing_but_the_speed() -> None:
    slow = typed()
    grammar = slow.tree["net"]

    def offers(state: Any, symbol: str) -> list[str]:
        return [name for name in grammar.rules[symbol] if grammar.step(state, symbol, name) is not None]

    quick = Space("typed", {"net": Grammar(grammar.rules, "M", max_size=8, state=(4, 3), step=grammar.step,
                                           accept=grammar.accept, offers=offers)})
    for by in ("decision", "prior", "candidate"):
        one, other = np.random.default_rng(1), np.random.default_rng(1)
        assert [slow.sample(one, by) for _ in range(50)] == [quick.sample(other, by) for _ in range(50)]
    assert slow.count() == quick.count()


def test_retreat_draws_only_the_smallest_productions_after_a_dead_end() -> None:
    """"pair" ends only where both halves agree; without retreat it may be drawn below another "pair"."""

    def step(state: tuple[str, ...], symbol: str, production: str) -> tuple[str, ...] | None:
        if symbol == "L":
            return (*state, production)
        if symbol == "end":
            return state[:-1] if state[-1] == state[-2] else None
        return state

    rules = {"E": {"pair": ("E", "E", "end"), "turn": ("E",), "leaf": ("L",)}, "L": {"x": (), "y": ()},
             "end": {"end": ()}}
    kinds: dict[bool, Counter[str]] = {}
    for retreat in (False, True):
        space, draw, after = Space("pairs", {"e": Grammar(rules, "E", max_size=30, state=(), step=step,
                                                          retreat=retreat)}), stream(np.random.default_rng(2)), Counter[str]()

        def choose(address: str, domain: Domain, draw: Any = draw, after: Any = after) -> Any:
            value = domain.draw(draw)
            if not domain.contains("pair") and domain.contains("leaf"):
                after[value] += 1
            return value

        for _ in range(300):
            structure, candidate = space.walk(choose)
            assert space.decode(candidate) == structure
        kinds[retreat] = after
    assert kinds[False]["turn"] > 100
    assert kinds[True]["leaf"] > 100 and kinds[True]["turn"] < kinds[True]["leaf"] / 4
