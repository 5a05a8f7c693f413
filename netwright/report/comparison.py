"""The page of `netwright compare`: anytime curves and the table, random search drawn in always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .html import document, figure, short, table, text
from .html import section as part
from .svg import Chart, both, span

_COLOURS = ("#2a6fb0", "#c25b12", "#3b8a3e", "#8a4fa3", "#b02a4c", "#5b6b7a", "#9a7d0a", "#0a8a8a")
QUERIES = "queries (as shares of the longest search where it has over 200)"


def page(found: Mapping[str, Any]) -> str:
    """One self-contained HTML document from `Comparison.to_json()`."""
    groups = list(dict.fromkeys((curve["benchmark"], curve["budget"]) for curve in found["curves"]))
    body = "".join(_group(found, benchmark, budget) for benchmark, budget in groups)
    about = (
        f"<p>{found['seeds']} seeds each. Searches see {text(found['signal'])} only; tests are read once, of the "
        "candidate that a search returns. Random search draws by decision. p: one-sided Mann-Whitney test of being "
        "better than random search at the same budget, after Holm's correction; intervals are 95 %.</p>"
    )
    return document("Search strategies compared", f"{about}{body}{_correlations(found['correlations'])}")


def _group(found: Mapping[str, Any], benchmark: str, budget: str) -> str:
    def ours(entry: Mapping[str, Any]) -> bool:
        return (entry["benchmark"], entry["budget"]) == (benchmark, budget)

    curves = {curve["strategy"]: curve for curve in found["curves"] if ours(curve)}
    rows = [row for row in found["rows"] if ours(row)]
    colour = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(curves)}
    keys = " ".join(f'<span style="color:{colour[name]}">■</span> {text(name)}' for name in curves)
    queries = {name: list(enumerate(curve["regret"], 1)) for name, curve in curves.items()}
    drawn = both(lambda width: _chart(queries, colour, found["signal"], QUERIES, width))
    figures = figure(drawn + f"<p>{keys}</p>", "Mean regret of the best so far on what the search sees, by query.")
    if all("seconds" in curve for curve in curves.values()):
        timed = {name: [(at, value) for at, value in zip(curve["seconds"], curve["regret_by_seconds"], strict=True)
                        if value is not None] for name, curve in curves.items()}
        drawn = both(lambda width: _chart(timed, colour, found["signal"], "recorded seconds", width))
        charged = ", and scores are charged before" if any(row["score_seconds"] for row in rows) else ""
        figures += figure(drawn + f"<p>{keys}</p>", "The same by what the benchmark recorded as cost; a line begins "
                                                    f"where all seeds have a first result{charged}.")
    return part(f"{text(benchmark)}, {text(budget)}", figures + figure(_table(rows)))


def _chart(curves: Mapping[str, Sequence[tuple[float, float]]], colour: Mapping[str, str], signal: str, along: str,
           width: float) -> Chart:
    """Points (place, regret) of each curve."""
    values = [value for curve in curves.values() for _, value in curve]
    low = min((value for value in values if value > 0), default=0.0)
    log = low > 0 and max(values) / low > 10
    chart = Chart(width, 300, f"regret of {signal} against {along}", left=58, right=14, top=22)
    longest = max(place for curve in curves.values() for place, _ in curve)
    counted = along == QUERIES
    x = chart.x(0.5, longest + 0.5) if counted else chart.x(0.0, longest)
    y = chart.y(*span([max(value, low) if log else value for value in values], log=log), log)
    ticks = x.ticks(10 if width > 600 else 5)
    chart.axes(x, y, along, "", short, short, sorted({max(1, round(v)) for v in ticks}) if counted else ticks)
    chart.words(14, 11, f"regret{' (logarithmic)' if log else ''}", "start", "name")
    for name, curve in curves.items():
        points = " ".join(f"{x(place):.1f},{y(max(value, low) if log else value):.1f}"
                          for place, value in curve)
        dashed = ' stroke-dasharray="5 4"' if name == "random" else ""
        chart.add(f'<polyline points="{points}" fill="none" stroke="{colour[name]}" stroke-width="1.8"{dashed}/>', name)
    return chart


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("strategy", "judged by", "mean", "95 %", "queries", "over random", "over the average", "regret", "p")
    return table(columns, [
        (text(r["strategy"]), text(r["signal"]), f"{r['mean']:.3f}", f"{r['low']:.3f} to {r['high']:.3f}",
         f"{r['queries']:.0f}", f"{r['over_random_percent']:+.2f} %", f"{r['over_average_percent']:+.2f} %",
         f"{r['regret']:.3f}", "" if r["p"] is None else f"{r['p']:.2g}")
        for r in rows
    ], numbers=(2, 3, 4, 5, 6, 7, 8))


def _correlations(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("benchmark", "what is searched", "against", "Spearman", "within the best 1 %")
    return part("How far the search can see", figure(table(columns, [
        (text(r["benchmark"]), text(r["signal"]), text(r["against"]), f"{r['spearman']:.3f}",
         "-" if (top := r["within_top_1_percent"]) is None else f"{top:.3f}") for r in rows], numbers=(3, 4))))
