"""The memory map: what lies where in the arena, step by step."""

from __future__ import annotations

from netwright.compile.memory import Buffer, Plan
from netwright.devices.c import arranged, planned
from netwright.graph import Graph, Value

from .families import key, kind
from .html import bytes_, figure, short
from .html import section as part
from .layers import node_family
from .material import Material
from .svg import Chart, both

WORKING = "working memory"


def section(material: Material) -> str:
    """Rectangles over time. Empty without the network or without tensors."""
    if material.graph is None or not material.graph.nodes:
        return ""
    graph = arranged(material.graph)
    where = planned(graph)
    if not where.buffers:
        return ""
    made = {v: node_family(node) for node in graph.nodes for v in node.outputs}
    used = {made.get(b.values[0], "input") if b.values else WORKING for b in where.buffers}
    placed = (
        "meets the bound, so no other placement of these tensors in this order is smaller"
        if where.bytes == where.bound
        else f"is {bytes_(where.bytes - where.bound)} over the bound of any placement, {bytes_(where.bound)}"
    )
    caption = (
        f"{key(used)} Each box is a stretch of the arena that a tensor holds, from the step that writes it to the last "
        "that reads it, or a kernel's working memory; steps are numbered as the layers above. Boxes of several tensors "
        "are reused in place; a result may lie over an input that is read ahead of it. "
        f"The arena, {bytes_(where.bytes)}, {placed}."
    )
    return part("Memory over time", figure(both(lambda width: _chart(graph, where, made, width)), caption))


def _chart(graph: Graph, where: Plan, made: dict[Value, str], width: float) -> Chart:
    steps = len(graph.nodes)
    chart = Chart(width, 320, f"arena of {where.bytes} bytes over {steps} steps", left=58, right=14, top=26)
    x = chart.x(0.5, steps + 0.5)
    y = chart.y(0, max(1.0, where.bytes * 1.02))
    most = 26 if width > 600 else 10
    every = max(1, -(-steps // most))
    chart.axes(x, y, "step", "", short, short, list(range(1, steps + 1, every)))
    chart.words(14, 11, "address in the arena, B", "start", "name")
    wide = x(2) - x(1)
    gap = min(1.5, wide * 0.06)
    for buffer, offset in zip(where.buffers, where.offsets):
        last = min(buffer.last, steps - 1)  # outputs outlive the last step
        left, right = x(buffer.first + 0.5) + gap, x(last + 1.5) - gap
        top, foot = y(offset + buffer.bytes), y(offset)
        family = made.get(buffer.values[0], "input") if buffer.values else WORKING
        chart.rect(
            left, top, right - left, max(0.8, foot - top - 0.6), f"tensor {kind(family)}", _title(buffer, offset)
        )
        room = int((right - left - 10) / 6.2)
        tall = foot - top
        if tall >= 12 and (label := _fitting(buffer.name, room)):
            chart.words(left + 5, top + min(13.0, tall / 2 + 4), label, "start", "inside")
        if tall >= 31 and room >= 8:
            chart.words(left + 5, top + 27, f"{buffer.bytes:,} B", "start", "inside quiet")
    end = chart.width - chart.right
    chart.line(chart.left, y(where.bytes), end, y(where.bytes), "arena", f"arena {where.bytes:,} B")
    if where.bound != where.bytes:
        chart.line(chart.left, y(where.bound), end, y(where.bound), "bound", f"bound {where.bound:,} B")
        words = f"arena {where.bytes:,} B, bound {where.bound:,} B (dashed)"
    else:
        words = f"arena = bound = {where.bytes:,} B"
    chart.words(end, 11, words, "end", "tick")
    return chart


def _title(buffer: Buffer, offset: int) -> str:
    names = [v.name for v in buffer.values] or ["scratch"]
    shapes = [f"{v.type.dtype} {'×'.join(str(d) for d in v.shape)}" for v in buffer.values[:1]]
    shared = [f"shared with {', '.join(names[1:6])}{' and more' if len(names) > 6 else ''}"] if len(names) > 1 else []
    lifetime = (
        f"step {buffer.first + 1}" if buffer.first == buffer.last else f"steps {buffer.first + 1} to {buffer.last + 1}"
    )
    return "\n".join([names[0], *shapes, f"{buffer.bytes:,} B at {offset:,}", f"alive: {lifetime}", *shared])


def _fitting(name: str, room: int) -> str:
    """The name, or as many of its last dotted parts as fit into `room` letters, or nothing."""
    parts = name.split(".")
    return next((cut for i in range(len(parts)) if len(cut := ".".join(parts[i:])) <= room), "")
