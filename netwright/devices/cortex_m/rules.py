"""What a Cortex-M refuses, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable

from netwright.compile.int8 import lowerable
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.ops.quantise import Dequantise, Quantise
from netwright.graph.types import FLOATS

from ..c import supported
from ..device import Rule, Subject, Violation


def _ops(subject: Subject) -> Iterable[Violation]:
    kinds = {type(n.op): n.op for n in subject.graph.nodes}
    doubtful = {kind for kind, op in kinds.items() if not (supported(op) and lowerable(op))}
    for node in subject.graph.nodes:
        if type(node.op) not in doubtful:
            continue
        ends = (v for v in (*node.inputs, *node.outputs) if v is not None and v not in subject.graph.param_of)
        floating = any(v.dtype in FLOATS for v in ends) and not isinstance(node.op, (Quantise, Dequantise))
        known = (lowerable(node.op) or isinstance(node.op, BatchNorm)) if floating else supported(node.op)
        if not known:
            yield Violation("M1", node.name, f"{node.op.name} has no int8 form here", "replace it by ops that have one")


def _over(
    rule: str, name: str, used: float, limit: float | None, unit: str, where: str, advice: str
) -> Iterable[Violation]:
    if limit is not None and used > limit:
        shown = (
            (f"{used:,.0f}", f"{limit:,.0f}", f"{used - limit:,.0f}")
            if unit == "B"
            else (f"{used:.2f}", f"{limit:g}", f"{used - limit:.2f}")
        )
        yield Violation(
            rule, where, f"{name} {shown[0]} {unit} is {shown[2]} {unit} over the limit of {shown[1]} {unit}", advice
        )


def _ram(subject: Subject) -> Iterable[Violation]:
    cost = subject.cost
    if cost is not None:
        peak = max(cost.layers, key=lambda layer: layer.ram_bytes, default=None)
        where = f"layer {peak.name} ({peak.ram_bytes:,} B alive)" if peak else "static data"
        yield from _over(
            "M2",
            "RAM (modelled)",
            cost.ram_total,
            subject.limits.ram_bytes,
            "B",
            where,
            "fewer channels or a larger stride up to that layer, a smaller input, or patches (--patches auto)",
        )


def _flash(subject: Subject) -> Iterable[Violation]:
    cost = subject.cost
    if cost is not None:
        largest = max(cost.layers, key=lambda layer: layer.flash_bytes, default=None)
        where = f"layer {largest.name} ({largest.flash_bytes:,} B of constants)" if largest else "code"
        yield from _over(
            "M3",
            "Flash (modelled)",
            cost.flash_total,
            subject.limits.flash_bytes,
            "B",
            where,
            "fewer channels in that layer, or pool before it",
        )


def _latency(subject: Subject) -> Iterable[Violation]:
    cost = subject.cost
    if cost is not None:
        slowest = max(cost.layers, key=lambda layer: layer.cycles, default=None)
        share = slowest.cycles / max(1.0, sum(layer.cycles for layer in cost.layers)) if slowest else 0
        where = f"layer {slowest.name} ({share:.0%} of the time, modelled)" if slowest else "program"
        yield from _over(
            "M4",
            "latency (modelled)",
            cost.latency_ms_modelled,
            subject.limits.latency_ms,
            "ms",
            where,
            "fewer multiply-accumulates in that layer, or a faster clock (--clock)",
        )


RULES = (
    Rule(
        "M1",
        "graph",
        "every op has an integer form that C can be written for",
        _ops,
        "replace the op",
        "netwright.compile.int8, netwright.devices.c",
    ),
    Rule(
        "M2",
        "program",
        "arena, stack and static data fit the RAM",
        _ram,
        "shrink the layers alive at the peak",
        "linker: .data, .bss and stack share the RAM region",
    ),
    Rule(
        "M3",
        "program",
        "code and constants fit the Flash",
        _flash,
        "shrink the weights",
        "linker: .text and .rodata share the Flash region",
    ),
    Rule(
        "M4",
        "program",
        "one step ends within the latency the user allows (modelled cycles)",
        _latency,
        "fewer multiply-accumulates",
        "cycles.csv",
    ),
)
