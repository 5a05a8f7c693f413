"""A space of derivations that is searched by subtrees: cut one off, grow another, and leave all else as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netwright.errors import Refused
from netwright.spaces.candidate import Candidate
from netwright.spaces.domain import Domain, Draw, stream
from netwright.spaces.node import Choose, DeadEnd
from netwright.spaces.space import Space

_TRIES = 200
_REPAIRS = 3
_DRAWS = 16
Grow = Callable[[str, Domain], Any]


class _Lost(Exception):
    """The new subtree would change more outside itself than is allowed."""


class RegrownSpace(Space):
    """A Space whose candidates change by whole subtrees, as einspace (section 4.1) and genetic programming have it.

    mutate     picks a decision, redraws it to another value and everything below it by the prior
    crossover  puts a subtree of one parent where one of the other parent was
    All decisions outside the subtree keep their values: up to 200 places and subtrees are tried until everything
    downstream is legal as it is. Only then are up to 3 decisions outside redrawn, in up to 200 more tries; then
    Refused.
    """

    def sample(self, rng: np.random.Generator, by: str = "prior") -> Candidate:
        """One candidate, as `Space.sample`; by the prior unless told otherwise."""
        return super().sample(rng, by)

    def mutate(self, candidate: Mapping[str, Any], rng: np.random.Generator, number: int = 1,
               rate: float | None = None, within: str = "") -> Candidate:
        """`number` subtrees regrown one after the other (or as many as decisions hit with probability `rate`, at least
        one), each at an address that starts with `within`."""
        draw = stream(rng)
        result = self.validate(candidate)
        if rate is not None:
            number = max(1, sum(draw() < rate for _ in result))
        for _ in range(number):
            result = self._mutated(result, draw, within)
        return result

    def _mutated(self, candidate: Candidate, draw: Draw, within: str) -> Candidate:
        places = [address for address, domain in self._domains(candidate).items()
                  if domain.size > 1 and address.startswith(within)]
        if not places:
            raise Refused(f'space "{self.name}": nothing to mutate under "{within}"')

        def pick() -> tuple[str, Grow]:
            place = places[int(draw() * len(places))]

            def grow(address: str, domain: Domain) -> Any:
                return _another(domain, candidate[place], draw) if address == place else domain.draw_prior(draw)

            return place, grow

        return self._changed(candidate, pick, draw, "mutation")

    def crossover(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: np.random.Generator) -> Candidate:
        """`a` with one of its subtrees replaced by one of `b`'s whose first decision is possible there."""
        draw = stream(rng)
        first, second = self.validate(a), self.validate(b)
        domains = self._domains(first)
        places, donors = list(domains), list(second)

        def pick() -> tuple[str, Grow]:
            while True:
                place, donor = places[int(draw() * len(places))], donors[int(draw() * len(donors))]
                if domains[place].contains(second[donor]):
                    break

            def grow(address: str, domain: Domain) -> Any:
                value = second.get(donor + address[len(place):])
                return value if value is not None and domain.contains(value) else domain.draw_prior(draw)

            return place, grow

        return self._changed(first, pick, draw, "crossover")

    def _domains(self, candidate: Candidate) -> dict[str, Domain]:
        domains: dict[str, Domain] = {}

        def look(address: str, domain: Domain) -> Any:
            domains[address] = domain
            return candidate[address]

        self._replay(look)
        return domains

    def _changed(self, candidate: Candidate, pick: Callable[[], tuple[str, Grow]], draw: Draw, what: str) -> Candidate:
        """The candidate with what `grow` makes at and below the place picked; nothing else changed if that can be."""
        for repairs in (0, _REPAIRS):
            for _ in range(_TRIES):
                place, grow = pick()
                try:
                    structure, made = self.walk(_around(candidate, place, grow, repairs, draw))
                except (_Lost, DeadEnd, Refused):
                    continue
                if made != candidate and self.violated(structure) is None:
                    return made
        raise Refused(f'space "{self.name}": no legal {what} in {2 * _TRIES} tries')


def _around(candidate: Candidate, place: str, grow: Grow, repairs: int, draw: Draw) -> Choose:
    inside, left = place + "/", repairs

    def choose(address: str, domain: Domain) -> Any:
        nonlocal left
        if address == place or address.startswith(inside):
            return grow(address, domain)
        value = candidate.get(address)
        if value is not None and domain.contains(value):
            return value
        left -= 1
        if left < 0:
            raise _Lost
        return domain.draw_prior(draw)

    return choose


def _another(domain: Domain, value: Any, draw: Draw) -> Any:
    """Another value than `value` by the prior, where there is one."""
    for _ in range(_DRAWS):
        drawn = domain.draw_prior(draw)
        if drawn != value:
            return drawn
    return domain.other(value, draw) if domain.contains(value) else drawn
