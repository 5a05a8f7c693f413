"""A picture of a graph: a box a node from top to bottom, edges that skip rows in lanes at the side. Standalone SVG."""

from __future__ import annotations

from collections.abc import Iterator

from netwright.graph import Graph, Node, Value

from .families import family, kind
from .html import text

BOX_W, BOX_H, GAP_X, GAP_Y, LANE, MARGIN = 232, 38, 18, 18, 11, 16
_STYLE = """
svg { background: #fdfdfc; font: 11px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
text { fill: #1b1c1e; } .quiet { fill: #55585e; } .edge { fill: none; stroke: #8b8e94; stroke-width: 1.2; }
.skip { stroke: #c2500a; } rect { stroke: #00000022; }
.f0 { fill: #d5d7da; } .f1 { fill: #9fc6df; } .f2 { fill: #c9e3f2; } .f3 { fill: #a9d5c5; } .f4 { fill: #f0dc9d; }
.f5 { fill: #ecd0e1; } .f6 { fill: #ebe7dd; }
"""


def picture(graph: Graph) -> str:
    """The SVG. Weights are not drawn; a box says the op, the result's type and the multiply-accumulates."""
    rows = _rows(graph)
    place = {item: (column, row) for row, items in enumerate(rows) for column, item in enumerate(items)}
    widest = max(map(len, rows))
    edges = list(_edges(graph))
    lanes = _lanes([(place[a][1], place[b][1]) for a, b in edges])
    left = MARGIN
    side = left + widest * (BOX_W + GAP_X)
    width = side + LANE * (max(lanes.values(), default=0) + 2) + MARGIN
    height = 2 * MARGIN + len(rows) * (BOX_H + GAP_Y)
    parts = []
    for index, (a, b) in enumerate(edges):
        (ca, ra), (cb, rb) = place[a], place[b]
        x1, y1 = left + ca * (BOX_W + GAP_X) + BOX_W / 2, MARGIN + ra * (BOX_H + GAP_Y) + BOX_H
        x2, y2 = left + cb * (BOX_W + GAP_X) + BOX_W / 2, MARGIN + rb * (BOX_H + GAP_Y)
        if rb == ra + 1:
            middle = (y1 + y2) / 2
            parts.append(f'<path class="edge" d="M{x1:g} {y1:g}C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}"/>')
        else:
            lane, out, back = side + LANE * lanes[index], y1 + GAP_Y / 2, y2 - GAP_Y / 2
            path = f"M{x1:g} {y1:g}V{out:g}H{lane:g}V{back:g}H{x2 + 8:g}V{y2:g}"
            parts.append(f'<path class="edge skip" d="{path}"/>')
    for row, items in enumerate(rows):
        for column, item in enumerate(items):
            parts.append(_box(graph, item, left + column * (BOX_W + GAP_X), MARGIN + row * (BOX_H + GAP_Y)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text(f"the graph of {graph.name}")}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


Item = Node | Value  # an input or a state is drawn as its value


def _rows(graph: Graph) -> list[list[Item]]:
    """Every node one row below the lowest of those it reads."""
    depth: dict[Value, int] = {}
    sources: list[Item] = [*graph.inputs, *(s.before for s in graph.states)]
    rows: list[list[Item]] = [sources] if sources else []
    depth.update(dict.fromkeys((*graph.inputs, *(s.before for s in graph.states)), 0))
    for node in graph.nodes:
        row = 1 + max((depth[v] for v in node.inputs if v in depth), default=-1)
        while len(rows) <= row:
            rows.append([])
        rows[row].append(node)
        depth.update(dict.fromkeys(node.outputs, row))
    return [row for row in rows if row] or [[]]


def _edges(graph: Graph) -> Iterator[tuple[Item, Item]]:
    """(made by, read by), each pair once."""
    seen = set()
    ends = {*graph.inputs, *(s.before for s in graph.states)}
    for node in graph.nodes:
        for value in node.inputs:
            if value is None or value in graph.param_of:
                continue
            source: Item | None = value if value in ends else graph.producers.get(value)
            if source is not None and (source, node) not in seen:
                seen.add((source, node))
                yield source, node


def _lanes(spans: list[tuple[int, int]]) -> dict[int, int]:
    """A lane for each edge that skips rows, so that edges in one lane do not overlap."""
    taken: list[int] = []  # the row that each lane is taken up to
    lanes = {}
    for index in sorted(range(len(spans)), key=lambda i: spans[i]):
        first, last = spans[index]
        if last == first + 1:
            continue
        free = next((lane for lane, until in enumerate(taken) if until <= first), len(taken))
        if free == len(taken):
            taken.append(0)
        taken[free] = last
        lanes[index] = free
    return lanes


def _box(graph: Graph, item: Item, x: float, y: float) -> str:
    if isinstance(item, Value):
        role = "input" if item in graph.inputs else "state"
        first, second, colour, title = f"{role} {item.name}", str(item.type), kind("input"), repr(item)
    else:
        weight = item.inputs[1] if len(item.inputs) > 1 else None
        shape = weight.shape if weight is not None and weight in graph.param_of else ()
        groups = getattr(item.op, "groups", 1)
        colour = kind(family(item.op.name, shape, groups))
        sizes = "x".join(map(str, item.output.shape))
        macs = f"  {item.macs:,} MACs" if item.macs else ""
        first, second, title = item.op.name, f"{item.output.dtype} {sizes}{macs}", repr(item)
        first += f"  {item.name}" if item.name != item.op.name else ""
        if any(v in graph.outputs for v in item.outputs):
            second += ", output"
    return (
        f'<g><title>{text(title[:400])}</title><rect class="{colour}" x="{x:g}" y="{y:g}" width="{BOX_W}" '
        f'height="{BOX_H}" rx="3"/><text x="{x + 8:g}" y="{y + 16:g}">{text(_cut(first))}</text>'
        f'<text class="quiet" x="{x + 8:g}" y="{y + 30:g}">{text(_cut(second))}</text></g>'
    )


def _cut(words: str, limit: int = 33) -> str:
    return words if len(words) <= limit else words[: limit - 1] + "…"
