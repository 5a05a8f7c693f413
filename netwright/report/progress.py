"""Search progress: the best so far against the number of evaluations, with random search drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import words
from .html import figure, legend, short, text
from .html import section as part
from .material import Material
from .svg import Chart, both, span


def expected_best(values: Sequence[float], draws: int, direction: str = "min") -> np.ndarray:
    """E[best of n] for n = 1..draws, where each of the n is drawn independently from the m given values: [draws].

    With the values sorted from best to worst, value i (from 0) is the best of n exactly when no draw is better and not
    all are worse: ((m - i) / m)^n - ((m - i - 1) / m)^n (Dodge et al. 2019, "Show your work", section 3.2).
    """
    ordered = np.sort(np.asarray(values, float))
    if direction == "max":
        ordered = ordered[::-1]
    count = len(ordered)
    tail = (count - np.arange(count + 1)) / count  # [m + 1]
    n = np.arange(1, draws + 1)[:, None]
    return np.asarray((tail[None, :-1] ** n - tail[None, 1:] ** n) @ ordered)


def best_so_far(values: Sequence[float | None], direction: str = "min") -> list[float | None]:
    """Running best; None before the first value."""
    best: float | None = None
    found: list[float | None] = []
    for value in values:
        if value is not None:
            best = value if best is None else min(best, value) if direction == "min" else max(best, value)
        found.append(best)
    return found


def section(material: Material) -> str:
    """One chart. Empty when no trial has a value."""
    metric, direction = material.objective
    values = [t.metrics.get(metric) if t.good else None for t in material.trials]
    known = [v for v in values if v is not None]
    if not known:
        return ""
    base = [t.metrics[metric] for t in material.baseline.trials if metric in t.metrics] if material.baseline else []
    curve = expected_best(base, len(values), direction) if base else np.zeros(0)
    body = both(lambda width: _chart(material, metric, direction, values, curve, len(base), width))
    return part("Search progress", figure(body, _caption(material, values, len(base))))


def _chart(
    material: Material,
    metric: str,
    direction: str,
    values: list[float | None],
    curve: np.ndarray,
    trusted: int,
    width: float,
) -> Chart:
    known = [*(v for v in values if v is not None), *curve]
    log = min(known) > 0 and direction == "min" and max(known) / min(known) > 4
    chart = Chart(width, 300, f"best {words.name(metric)} against evaluations", left=58, right=14, top=22)
    x = chart.x(0.5, len(values) + 0.5)
    y = chart.y(*span(known, log=log), log)
    form = (lambda v: f"{100 * v:.4g} %") if metric == "accuracy" else short
    whole = sorted({max(1, round(v)) for v in x.ticks(10 if width > 600 else 5)})
    chart.axes(x, y, "evaluations", "", form, short, whole)
    chart.words(14, 11, f"{words.name(metric)}{' (logarithmic)' if log else ''}", "start", "name")
    for index, (trial, value) in enumerate(zip(material.trials, values), 1):
        if value is None:
            chart.cross(x(index), chart.height - chart.bottom - 7, "failed", words.trial(trial))
        else:
            chart.dot(x(index), y(value), 3, "dominated", words.trial(trial, architecture=False))
            if trial.number == material.chosen:
                chart.dot(x(index), y(value), 7, "chosen", words.trial(trial, "deployed"))
    _random(chart, x, y, metric, curve, trusted)
    corners: list[tuple[float, float]] = []
    for index, best in enumerate(best_so_far(values, direction), 1):
        if best is not None:
            if corners:
                corners.append((x(index), corners[-1][1]))
            corners.append((x(index), y(best)))
    if len(corners) == 1:
        corners.append((corners[0][0] + 12, corners[0][1]))
    chart.path(corners, "best")
    return chart


def _random(chart: Chart, x: object, y: object, metric: str, curve: np.ndarray, trusted: int) -> None:
    """The expected best of n random draws: dashed, and fainter beyond as many draws as it is estimated from."""
    assert callable(x) and callable(y)
    points = [(x(n), y(v)) for n, v in enumerate(curve, 1)]
    chart.path(points[:trusted], "random")
    chart.path(points[trusted - 1 :] if 0 < trusted < len(points) else [], "random beyond")
    for n, (at, level) in enumerate(points, 1):
        faint = f"\nestimated from {trusted} trials only" if n > trusted else ""
        chart.dot(
            at,
            level,
            4,
            "hit",
            f"random search, expected best of {n}: {words.value(metric, float(curve[n - 1]))}{faint}",
        )


def _caption(material: Material, values: list[float | None], count: int) -> str:
    lost = sum(v is None for v in values)
    keys = [("k best", "best so far"), ("k dominated", "a trial"), ("k chosen", "deployed")]
    keys += [("k random", "random search, expected best")] if count else []
    keys += [("k failed", "no result")] if lost else []
    strategy, space = (text(material.result.get(k, k)) for k in ("strategy", "space"))
    said = f" {strategy} over {space}, {len(values)} trials"
    said += f", {lost} of them without a result. " if lost else ". "
    if not count or material.baseline is None:
        return (
            legend(*keys)
            + said
            + (
                "Random search is not drawn in: this study holds no random draws. "
                "Give one with <code>write_report(folder, baseline=...)</code>."
            )
        )
    return (
        legend(*keys)
        + said
        + (
            f"The dashed line is the expected best of n random draws from the empirical distribution of "
            f"{text(material.baseline.words)}: an estimate from {count} trial{'s' if count != 1 else ''}, on "
            f"{'its' if count == 1 else 'their'} own {words.name(material.objective[0])}. It cannot pass the best of "
            f"these, so beyond {count} evaluations (faint) it understates what random search would reach."
        )
    )
