"""The page of `netwright ablate`: every architecture's accuracy along the recipe's rungs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .html import document, figure, table, text
from .html import section as part
from .svg import Chart, both, span


def page(found: Mapping[str, Any]) -> str:
    """One self-contained HTML document from `Contributions.to_json()`."""
    accuracy = 100 * np.array(found["accuracy"])
    names = [row["recipe"] for row in found["rows"]]
    shares = ", ".join(f"{text(name)} {100 * share:.0f} %" for name, share in found["shares_of_variance"].items())
    between = found["rank_correlation_between_seeds"]
    ranks = "-" if between is None else f"Spearman {between:.2f}"
    about = (
        f"{len(found['architectures'])} random architectures of {text(found['space'])} on {text(found['task'])}, "
        f"{accuracy.shape[2]} trainings of each under each recipe; accuracy on validation data. Of the variance: "
        f"{shares}. Two seeds rank the architectures alike to {ranks}."
    )
    chart = figure(both(lambda width: _chart(accuracy, names, width)),
                   "A line is an architecture (mean of its seeds), a dot a training; the thick line is the mean.")
    return document("Recipe, architecture, seed",
                    f"<p>{about}</p>" + part("Accuracy under a growing recipe", chart + figure(_table(found["rows"]))))


def _chart(accuracy: np.ndarray, names: list[str], width: float) -> Chart:
    """`accuracy` [rungs, architectures, seeds] in percent."""
    chart = Chart(width, 340, "validation accuracy under a growing recipe", left=52, right=16, top=22)
    rungs = len(names)
    x, y = chart.x(0.6, rungs + 0.4), chart.y(*span(accuracy.ravel().tolist()))
    chart.axes(x, y, "recipe", "", lambda v: f"{v:.4g}",
               lambda v: names[round(v) - 1] if width > 600 else str(round(v)), [float(at + 1) for at in range(rungs)])
    chart.words(14, 11, "%", "start", "name")
    means = accuracy.mean(2)
    for place in range(means.shape[1]):
        _line(chart, [(x(at + 1), y(v)) for at, v in enumerate(means[:, place])], "#8aa4bd", 1.0)
        for at in range(rungs):
            for value in accuracy[at, place]:
                title = f"architecture {place + 1}, {names[at]}: {value:.2f} %"
                chart.add(f'<circle cx="{x(at + 1):.1f}" cy="{y(value):.1f}" r="2.4" fill="#2a6fb0" '
                          'fill-opacity="0.55"/>', title)
    _line(chart, [(x(at + 1), y(v)) for at, v in enumerate(means.mean(1))], "#c25b12", 2.6)
    return chart


def _line(chart: Chart, points: list[tuple[float, float]], colour: str, width: float) -> None:
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    chart.add(f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="{width}"/>')


def _table(rows: list[dict[str, Any]]) -> str:
    def gain(r: Mapping[str, Any]) -> str:
        return "" if r["gain"] is None else (f"{100 * r['gain']:+.2f} ({100 * r['gain_low']:+.2f} to "
                                             f"{100 * r['gain_high']:+.2f})")

    columns = ("recipe", "mean, %", "adds (95 %)", "between architectures", "between seeds", "rank with the last")
    return table(columns, [
        (text(r["recipe"]), f"{100 * r['mean']:.2f}", gain(r), f"{100 * r['between_architectures']:.2f}",
         f"{100 * r['between_seeds']:.2f}", "-" if r["rank_with_last"] is None else f"{r['rank_with_last']:.2f}")
        for r in rows
    ], numbers=(1, 2, 3, 4, 5))
