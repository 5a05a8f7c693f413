"""Profiles: what is known of one device and tool chain, as data (Orion 2026, section 14; `profiles/*.toml`).

    profile = load("m5-baked")
    profile.holds("R1")                 # whether a rule is to be kept there; `unknown` is kept too
    profile.numerics                    # the executor's switches

Sources disagree, so no state is a truth of all devices: each profile says from where and when it has its own.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError, nearest

from .execute.numerics import Numerics

FOLDER = Path(__file__).parent / "profiles"
DEFAULT = "strict"
STATES = ("holds", "does not hold", "unknown")


@dataclass(frozen=True)
class Bounds:
    """Sizes that compile there (elements). 0: no bound is known.

    Attributes:
        spatial: of the last two axes of an image and the inner axis of a matrix product.
        concat_operands, causal_positions, causal_both: within which `concat` and causal attention work, where they do.
    """

    axis: int = 65536
    spatial: int = 16384
    kernel_width: int = 15
    concat_operands: int = 0
    causal_positions: int = 0
    causal_both: int = 0


@dataclass(frozen=True)
class Latency:
    """Constants of the latency model (section 13); everything that is computed from them is modelled."""

    dispatch_ms: float
    peak_flops: float
    bandwidth: float  # bytes a second
    sram_bytes: int
    spill: float
    reload_ms: float
    compile_ms: float

    def ms(self, flops: float, bytes: float, working_set: float) -> float:
        """Modelled milliseconds of one evaluation."""
        work = max(flops / self.peak_flops, bytes / self.bandwidth) * 1e3
        return self.dispatch_ms + work * (self.spill if working_set > self.sram_bytes else 1.0)


@dataclass(frozen=True)
class Evidence:
    """The state of a rule (one of `STATES`) with where and when it was seen."""

    state: str
    source: str
    date: str


@dataclass(frozen=True)
class AneProfile:
    """One device and tool chain.

    Attributes:
        reload: `applies` (unload, overwrite, load: new weights) or `no-op` (the old ones go on).
        weights: `packed` (one file) or `separate` (a file for each matrix).
        compile_budget: compiles a process survives; `soft_budget` is where to stop.
        ops: names of ops that compile.
    """

    name: str
    title: str
    reload: str
    weights: str
    compile_budget: int
    soft_budget: int
    ops: frozenset[str]
    rules: dict[str, Evidence]
    numerics: Numerics
    bounds: Bounds
    latency: Latency

    def holds(self, rule: str) -> bool:
        """Whether the rule is to be kept: it holds, or nobody knows."""
        return rule not in self.rules or self.rules[rule].state != "does not hold"

    def state(self, rule: str) -> str:
        """One of `STATES`."""
        return self.rules[rule].state if rule in self.rules else "unknown"

    def breaks(self, rule: str) -> bool:
        """Whether breaking the rule has its consequence there: it holds for sure."""
        return self.state(rule) == "holds"

    def allows(self, op: str) -> bool:
        """Whether the op compiles: R1 and R10 decide over `concat` and `gelu`."""
        return not self.holds({"concat": "R1", "gelu": "R10"}[op]) if op in ("concat", "gelu") else op in self.ops


def names() -> list[str]:
    """All profiles that ship with netwright."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


@cache
def load(name: str) -> AneProfile:
    """The profile called `name`. Raises UserError for an unknown one, with the nearest."""
    if name not in names():
        raise UserError(f"unknown profile {name!r} of the Neural Engine{nearest(name, names())}")
    table = _table(name)
    numbers = dict(table["numerics"])
    numbers.setdefault("matmul_ceiling", np.inf)
    return AneProfile(
        name, table["title"], table["reload"], table["weights"], table["compile_budget"], table["soft_budget"],
        frozenset(table["ops"].split()), table["rules"], Numerics(**numbers),
        Bounds(**table["limits"]), Latency(**table["latency"]),
    )


def _table(name: str) -> dict[str, Any]:
    own = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    evidence = {rule: Evidence(state, own["source"], own["date"]) for rule, state in own.get("rules", {}).items()}
    if "extends" not in own:
        return {**own, "rules": evidence}
    base = _table(own["extends"])
    merged = {**base, **own, "rules": {**base["rules"], **evidence}}
    for part in ("numerics", "limits", "latency"):
        merged[part] = {**base[part], **own.get(part, {})}
    return merged


