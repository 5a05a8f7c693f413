"""Which constraints leave nothing: said from drawn structures, none of which keeps them all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Protocol


class Condition(Protocol):
    """A constraint, as `Space` has it."""

    @property
    def statement(self) -> str: ...

    def holds(self, structure: Any) -> bool: ...


def contradiction(constraints: Sequence[Condition], structures: Sequence[Any]) -> str:
    """The fewest constraints that no structure keeps together, and how often each was broken: one line."""
    broken = [[not constraint.holds(structure) for structure in structures] for constraint in constraints]
    places = range(len(constraints))
    together = next(
        (some for size in range(1, len(constraints) + 1) for some in combinations(places, size)
         if all(any(broken[place][number] for place in some) for number in range(len(structures)))),
        tuple(places),
    )
    named = " and ".join(f'"{constraints[place].statement}"' for place in together)
    times = ", ".join(f'{sum(broken[place])} times "{constraints[place].statement}"' for place in together)
    never = f"none keeps {named}{' together' if len(together) > 1 else ''}"
    return f"of {len(structures)} drawn {never}" + (f" (broken: {times})" if len(together) > 1 else "")
