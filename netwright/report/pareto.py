"""The Pareto fronts: validation loss or accuracy against each cost."""

from __future__ import annotations

import numpy as np

from netwright.search.pareto import front

from . import words
from .html import figure, legend, short
from .html import section as part
from .material import Material, Trial
from .svg import Chart, span

_COSTS = ("latency_ms", "ram_bytes", "flash_bytes")
_MANY = 200  # beyond so many trials the dominated ones are shown without their architecture: the page stays small
_QUALITIES = (("loss", "min"), ("accuracy", "max"))


def section(material: Material) -> str:
    """Small multiples, one a cost; loss or accuracy by a switch. Empty when no trial has a result."""
    sets = []
    for quality, direction in _QUALITIES:
        drawn = [c for cost in _COSTS if (c := _chart(material, quality, direction, cost))]
        if drawn:
            sets.append((quality, "".join(f"<div>{c}</div>" for c in drawn)))
    if not sets:
        return ""
    first = material.objective[0] if material.objective[0] in [q for q, _ in sets] else sets[0][0]
    switch = panels = ""
    for quality, charts in sets:
        checked = " checked" if quality == first else ""
        switch += (
            f'<input type="radio" name="quality" id="by-{quality}"{checked}><label for="by-{quality}">'
            f"{words.NAMES[quality][0]}</label>"
        )
        panels += f'<div class="panel {quality}"><div class="three">{charts}</div></div>'
    caption = (
        legend(
            ("k front", "not dominated"), ("k dominated", "dominated"), ("k chosen", "deployed"), ("k limit", "limit")
        )
        + " "
        "Each dot is one network, trained briefly and judged on validation data; its costs are those of the device's "
        "model (modelled), not of a run. Point at a dot for its architecture."
    )
    return part("Pareto front", figure(f'<div class="switch">{switch}{panels}</div>', caption))


def _chart(material: Material, quality: str, direction: str, cost: str) -> str:
    found = [t for t in material.good if quality in t.metrics and cost in t.metrics]
    if not found:
        return ""
    ups, costs = ([t.metrics[k] for t in found] for k in (quality, cost))
    log = direction == "min" and min(ups) > 0 and max(ups) / min(ups) > 4
    limit = material.result["device"].get(cost)
    shown = limit is not None and limit <= 1.6 * max(costs)
    chart = Chart(
        344, 290, f"{words.name(quality)} against {words.name(cost)} of {len(found)} networks", left=50, top=20
    )
    x = chart.x(*span([*costs, *([limit] if shown else [])]))
    y = chart.y(*span(ups, log=log), log)
    chart.axes(x, y, words.name(cost), "", _percent if quality == "accuracy" else short, short, about=4)
    if limit is not None:
        said = f"limit {words.value(cost, limit)}" + (" (modelled)" if cost == "latency_ms" else "")
        if shown:
            chart.line(x(limit), chart.top, x(limit), chart.height - chart.bottom, "limit", said)
        else:
            chart.words(chart.width - chart.right, chart.top + 12, f"{said} →", "end", "tick")
    best = front(np.array([[u if direction == "min" else -u, c] for u, c in zip(ups, costs)]))
    _step(chart, x, y, sorted((c, u) for c, u, b in zip(costs, ups, best) if b))
    for t, u, c, b in sorted(zip(found, ups, costs, best), key=lambda row: bool(row[3])):
        told = words.trial(t, "not dominated" if b else "", architecture=bool(b) or len(found) <= _MANY)
        chart.dot(x(c), y(u), 4 if b else 3, "front" if b else "dominated", told)
    _chosen(chart, x, y, found, material.chosen, quality, cost)
    chart.words(chart.left - 44, 10, words.name(quality) + (" (logarithmic)" if log else ""), "start", "name")
    return str(chart)


def _step(chart: Chart, x: object, y: object, points: list[tuple[float, float]]) -> None:
    """The edge of what is dominated: from each front member right to the next one's cost, then to its level."""
    assert callable(x) and callable(y)
    corners: list[tuple[float, float]] = []
    for c, u in points:
        if corners:
            corners.append((x(c), corners[-1][1]))
        corners.append((x(c), y(u)))
    if corners:
        corners.append((chart.width - chart.right, corners[-1][1]))
    chart.path(corners, "step")


def _chosen(
    chart: Chart, x: object, y: object, found: list[Trial], chosen: int | None, quality: str, cost: str
) -> None:
    assert callable(x) and callable(y)
    for t in found:
        if t.number == chosen:
            chart.dot(x(t.metrics[cost]), y(t.metrics[quality]), 7, "chosen", words.trial(t, "deployed"))


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"
