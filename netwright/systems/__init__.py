"""Published systems as recipes: which parts with which settings, and what was claimed.

A file in this folder defines `system = System(...)`; it holds no algorithm. `reproduce` measures the claims; nothing is
printed that was not measured in that run.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from netwright.errors import UserError, nearest


@dataclass(frozen=True)
class Measured:
    """What a claim's measurement gives: a number, whether the claim holds, and what differs."""

    value: float
    holds: bool
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """A published figure with its conditions, and how ours is measured: `measure(data_folder, seed)`."""

    claim: str
    published: str
    conditions: str
    unit: str
    measure: Callable[[Path | None, int], Measured]


@dataclass(frozen=True)
class System:
    """A published system as a composition of netwright's parts."""

    name: str
    paper: str
    about: str
    claims: tuple[Claim, ...] = ()


def names() -> list[str]:
    """All recipes, by file name."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__))


def get(name: str) -> System:
    """The recipe of that name. Raises UserError for an unknown one."""
    spelled = name.replace("_", "-")
    if spelled not in names():
        raise UserError(f"no system is called {name!r}{nearest(spelled, names())}")
    found: System = import_module(f"{__name__}.{spelled.replace('-', '_')}").system
    return found


def reproduce(
    system: System, *, data: str | None = None, seed: int = 0, report: Callable[[str], Any] | None = None
) -> list[dict[str, Any]]:
    """Measure every claim; one row each, with the keys of `netwright reproduce --json`."""
    from netwright.recorded import folder

    place = folder(data)
    rows = []
    for claim in system.claims:
        if report is not None:
            report(f"measuring: {claim.claim}")
        found = claim.measure(place, seed)
        rows.append(
            {
                "claim": claim.claim,
                "published": claim.published,
                "conditions": claim.conditions,
                "ours": found.value,
                "unit": claim.unit,
                "holds": found.holds,
                "note": found.note,
            }
        )
    return rows
