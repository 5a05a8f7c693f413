"""`SomeOf`: a word of the space language for templates that are chosen by bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple

from netwright.spaces.domain import Categorical
from netwright.spaces.node import Choose, Compiled, Node, Scope, Slot, compile_tree, join, slots_of

OFF, ON = "off", "on"


class Several(NamedTuple):
    """What a SomeOf becomes in the structure: the parts that are on, in their order, and what is decided for several
    (None where only one part is on)."""

    parts: dict[str, Any]
    together: Any


@dataclass(frozen=True)
class SomeOf(Node):
    """One or more of several named sub-spaces, each switched by a decision of its own. Structure: `Several`.

    The bit of a part is decided at `path/name` ("off" or "on"), what lies inside it, only where it is on, at
    `path/name/...`; `together`, whose names are not those of parts, only where two parts or more are on. A bit that
    must be on, since all others are off, has that one value.
    """

    branches: Mapping[str, Any]
    together: Mapping[str, Any] = field(default_factory=dict)

    def compile(self, path: str, scope: Scope) -> Compiled:
        names = tuple(self.branches)
        if not names or set(names) & set(self.together):
            raise ValueError("a SomeOf has parts, and other names for what is decided together")
        bits: list[Categorical | None] = []  # None: not a decision of this space, so taken as on
        parts: list[Compiled] = []
        slots: list[Slot] = []
        for name in names:
            address = join(path, name)
            bit = scope.only(address, Categorical((OFF, ON))) if scope.asks(address) else None
            assert bit is None or isinstance(bit, Categorical)
            bits.append(bit)
            if bit is not None:
                slots.append(scope.declare(address, bit))
            parts.append(compile_tree(self.branches[name], address, scope))
            slots += parts[-1].slots
        rest = compile_tree(dict(self.together), path, scope)

        @cache
        def values(place: int, on: int) -> tuple[str, ...]:
            """What the bit at `place` may be after `on` parts (2: or more)."""
            bit = bits[place]
            return tuple(v for v in ((ON,) if bit is None else bit.values) if ends(place + 1, _more(on, v)))

        @cache
        def ends(place: int, on: int) -> bool:
            return bool(values(place, on)) if place < len(names) else on > 0

        @cache
        def count(place: int, on: int) -> int:
            if place == len(names):
                return rest.count() if on > 1 else on
            return sum(behind(place, on))

        def behind(place: int, on: int) -> list[int]:
            inside = {ON: parts[place].count(), OFF: 1}
            return [inside[value] * count(place + 1, _more(on, value)) for value in values(place, on)]

        if not ends(0, 0):
            raise ValueError("one part at least is on, and all are fixed to be off")
        domains = {(place, on): Categorical(values(place, on), weigh=partial(behind, place, on))
                   for place in range(len(names)) for on in range(3) if values(place, on)}
        addresses = [join(path, name) for name in names]

        def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> Several:
            found: dict[str, Any] = {}
            for place, name in enumerate(names):
                value = ON
                if bits[place] is not None:
                    address = addresses[place]
                    value = trace[address] = choose(address, domains[place, min(len(found), 2)])
                if value == ON:
                    found[name] = parts[place].run(choose, trace, backtrack)
            return Several(found, rest.run(choose, trace, backtrack) if len(found) > 1 else None)

        every = (*parts, rest)
        return Compiled(run, lambda: count(0, 0), all(part.finite for part in every), (*slots, *slots_of([rest])))


def _more(on: int, value: str) -> int:
    return min(2, on + (value == ON))
