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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.errors import UserError

LEAST_SEEDS = 5


@dataclass(frozen=True)
class Finding:
    """A rule that a claim breaks, and how."""

    claim: str
    rule: str
    words: str


def audit(report: Mapping[str, Any], least_seeds: int = LEAST_SEEDS) -> list[Finding]:
    """What is wrong with a report: {"claims": [...]}, one claim, or what `netwright compare --json` prints.

    Rules: no-baseline, few-seeds, other-recipe (one finding a field), selected-on-test, best-seed, no-budget,
    other-budget, not-better. UserError for anything that is no claim.
    """
    found: list[Finding] = []
    for number, claim in enumerate(claims(report)):
        method, baseline = claim.get("method"), claim.get("baseline")
        if not isinstance(method, Mapping) or not _numbers(method.get("values")):
            raise UserError(f'claim {number + 1} has no "method" with a list of numbers, "values"')
        if baseline is not None and (not isinstance(baseline, Mapping) or not _numbers(baseline.get("values"))):
            raise UserError(f'the "baseline" of claim {number + 1} has no list of numbers, "values"')
        name = str(method.get("name", f"claim {number + 1}"))
        found += [Finding(name, rule, words) for rule, words in _broken(method, baseline, least_seeds)]
    return found


def claims(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The claims of a report; UserError where there are none."""
    if isinstance(report, Mapping):
        if "method" in report:
            return [report]
        if isinstance(report.get("claims"), Sequence) and report["claims"]:
            return list(report["claims"])
    raise UserError('a report to audit is {"method": ..., "baseline": ...} or {"claims": [...]}, as `netwright compare '
                    "--json` prints them")


def _numbers(values: Any) -> bool:
    return (isinstance(values, Sequence) and bool(values)
            and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values))


def _broken(method: Mapping[str, Any], baseline: Mapping[str, Any] | None,
            least_seeds: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    values = np.asarray(method["values"], dtype=float)
    if len(values) < least_seeds:
        found.append(("few-seeds", f"{len(values)} run(s); at least {least_seeds} show what is chance"))
    reported = float(method.get("reported", values.mean()))
    apart = abs(reported - values.mean())
    if len(values) > 1 and apart > max(1e-6 * abs(values.mean()), 0.01 * values.std()):
        said = "the best seed" if np.isclose(reported, values.max()) else "not the mean of the runs"
        found.append(("best-seed", f"{reported:g} is {said}, which is {values.mean():g}"))
    chosen = str(method.get("selected_by", ""))
    if "test" in chosen.lower():
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
    if (p := _p(values, np.asarray(baseline["values"], dtype=float))) is not None and p > 0.05:
        found.append(("not-better", f"p = {p:.2g} that chance alone is so far from the baseline"))
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


def _p(values: np.ndarray, base: np.ndarray) -> float | None:
    from .statistics import better

    return better(values.tolist(), base.tolist()) if min(len(values), len(base)) > 1 else None
