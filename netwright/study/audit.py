"""Whether a claim that a search is good can be believed (Yang, Esperanca and Carlucci 2020, section 5; Lindauer and
Hutter 2020).

A claim is a mapping:

    {"method": {"name": ..., "values": [...], "reported": ..., "recipe": {...}, "budget": ..., "selected_by": ...},
     "baseline": {"name": "random ...", "values": [...], "recipe": {...}, "budget": ...}}

values       one result a seed, all that were run (higher is better)
reported     the number that is claimed; their mean where it is left out
recipe       whatever the training was given: epochs, augmentation, ...
budget       what the search could spend, as text or number
selected_by  the data by which the returned network was chosen
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.errors import UserError

LEAST_SEEDS = 5
ALPHA = 0.05  # of the one-sided Mann-Whitney tests of a report, after Holm's correction
ROUNDING = 0.1  # deviations of the runs by which a reported mean may be rounded


@dataclass(frozen=True)
class Finding:
    """A rule that a claim breaks, and how."""

    claim: str
    rule: str
    words: str


def audit(report: Mapping[str, Any], least_seeds: int = LEAST_SEEDS) -> list[Finding]:
    """What is wrong with a report: {"claims": [...]}, one claim, or what `netwright compare --json` prints.

    Rules: no-baseline, few-seeds (of either side), other-recipe (one finding a field), selected-on-test, best-seed,
    no-budget, other-budget, not-better. UserError for anything that is no claim.
    """
    from .statistics import better, corrected

    found: list[Finding] = []
    tested: list[tuple[str, float]] = []
    for number, claim in enumerate(claims(report), 1):
        if not isinstance(claim, Mapping):
            raise UserError(f'claim {number} is no {{"method": ..., "baseline": ...}}')
        method, baseline = _arm(claim, "method", number), None
        if claim.get("baseline") is not None:
            baseline = _arm(claim, "baseline", number)
        name = str(method.get("name", f"claim {number}"))
        found += [Finding(name, rule, words) for rule, words in _broken(method, baseline, least_seeds)]
        if baseline is not None and min(len(method["values"]), len(baseline["values"])) > 1:
            tested.append((name, better(method["values"], baseline["values"])))
    for (name, _), p in zip(tested, corrected([p for _, p in tested]) if tested else (), strict=True):
        if p > ALPHA:
            found.append(Finding(name, "not-better", f"p = {p:.2g} that chance alone is so far from the baseline"))
    return found


def _arm(claim: Mapping[str, Any], which: str, number: int) -> Mapping[str, Any]:
    """A claim's method or baseline, its fields of the right kinds. UserError for others."""
    arm = claim.get(which)
    values = arm.get("values") if isinstance(arm, Mapping) else None
    numbers = isinstance(values, list | tuple) and bool(values) and all(map(_number, values))
    if not isinstance(arm, Mapping) or not numbers:
        raise UserError(f'claim {number} has no "{which}" with a list of numbers, "values"')
    if not isinstance(arm.get("recipe", {}), Mapping):
        raise UserError(f'the "recipe" of the {which} of claim {number} is no mapping of fields')
    if not _number(arm.get("reported", 0.0)):
        raise UserError(f'what the {which} of claim {number} "reported" is no number')
    return arm


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def claims(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The claims of a report; UserError where there are none."""
    if isinstance(report, Mapping):
        if "method" in report:
            return [report]
        if isinstance(report.get("claims"), list) and report["claims"]:
            return list(report["claims"])
    raise UserError('a report to audit is {"method": ..., "baseline": ...} or {"claims": [...]}, as `netwright compare '
                    "--json` prints them")


def _broken(method: Mapping[str, Any], baseline: Mapping[str, Any] | None,
            least_seeds: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    values = np.asarray(method["values"], dtype=float)
    for arm, whose in ((method, ""), (baseline or {"values": range(least_seeds)}, " of the baseline")):
        if (runs := len(arm["values"])) < least_seeds:
            found.append(("few-seeds", f"{runs} run(s){whose}; at least {least_seeds} show what is chance"))
    reported = float(method.get("reported", values.mean()))
    apart = abs(reported - values.mean())
    if len(values) > 1 and apart > max(1e-6 * abs(values.mean()), ROUNDING * values.std()):
        said = "the best seed" if np.isclose(reported, values.max()) else "not the mean of the runs"
        found.append(("best-seed", f"{reported:g} is {said}, which is {values.mean():g}"))
    chosen = str(method.get("selected_by", ""))
    if re.search(r"\btest", chosen.lower()):
        found.append(("selected-on-test", f"the network was chosen by {chosen}, on which it is then judged"))
    if method.get("budget") in (None, ""):
        found.append(("no-budget", "what the search could spend is not said"))
    if baseline is None or "random" not in str(baseline.get("name", "")).lower():
        found.append(("no-baseline", "random architectures of the same space, trained alike, are not beside it"))
    if baseline is None:
        return found
    if baseline.get("budget") != method.get("budget"):
        found.append(("other-budget", f"{method.get('budget')} against the baseline's {baseline.get('budget')}"))
    for key, one, two in _differences(method.get("recipe", {}), baseline.get("recipe", {})):
        found.append(("other-recipe", f"{key}: {one} against the baseline's {two}"))
    return found


def _differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found = []
    for key in sorted({*one, *two}):
        a, b = one.get(key, "nothing"), two.get(key, "nothing")
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += [(f"{key}.{inner}", x, y) for inner, x, y in _differences(a, b)]
        elif a != b:
            found.append((key, a, b))
    return found
