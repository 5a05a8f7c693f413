"""The restrictions of the Neural Engine, each written once (Orion 2026, section 2, and later measurements).

    lint("model.mil", "m4max-orion")        # findings: rule, where, what, what the device does, what mends it
    BY_ID["R3"].statement

R1 to R20 are Orion's catalogue, L1 to L14 later measurements, F1 a fault of the published trainer, N2 what ops there
are. The simulator behaves by them, the compiler refuses by them, `check` and `lint` explain by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .. import files
from ..mil import Function, Program
from ..profile import DEFAULT, AneProfile, load
from ..weights import MODEL_PATH, WeightFile
from . import calls, limits, names, numbers, ops, surfaces, weights
from .rule import AneRule, Finding, Sight, Surfaces

_FAMILIES = (ops, names, surfaces, weights, calls, numbers, limits)
RULES: tuple[AneRule, ...] = tuple(
    sorted((r for family in _FAMILIES for r in family.RULES), key=lambda r: (r.id[0] != "R", r.id[0], int(r.id[1:])))
)
BY_ID: Mapping[str, AneRule] = {r.id: r for r in RULES}


def findings(sight: Sight) -> list[Finding]:
    """All broken rules that can be seen, in the order of the catalogue."""
    return [f for r in RULES for f in r.findings(sight)]


def lint(program: Program | str | Path, profile: AneProfile | str = DEFAULT) -> list[Finding]:
    """Broken rules of every function of a program, or of a file that holds one (text, folder or package).

    Rules that a correct host keeps (`rule.by_host`) are among them, as what the host has to do. Raises UserError for a
    file that is none.
    """
    chosen = load(profile) if isinstance(profile, str) else profile
    chunks: dict[str, frozenset[int]] = {}
    if isinstance(program, (str, Path)):
        found = files.read(program)
        program = found.program
        for path in {b.path for f in program.functions for _, b in weights._blobs(Sight(f, chosen))}:
            chunks[path] = _offsets(found.folder / path.removeprefix(MODEL_PATH))
    return [f for function in program.functions for f in findings(Sight(function, chosen, chunks or None))]


def _offsets(path: Path) -> frozenset[int]:
    return frozenset(offset for offset, _, _ in WeightFile(path).chunks())


def worst(function: Function, profile: AneProfile) -> list[Finding]:
    """What makes the program itself unfit for the profile."""
    return [f for f in findings(Sight(function, profile)) if f.serious]


__all__ = ["BY_ID", "RULES", "AneRule", "Finding", "Sight", "Surfaces", "findings", "lint", "worst"]
