"""What fp16 and the on-chip memory do to numbers and times."""

from __future__ import annotations

import math

from ..mil import Statement
from ..passes.sram import working_set
from .rule import FRONT_END, ORION, SLOW, WRONG, Found, Sight, rule


@rule("R18", "program", SLOW, "a working set above the SRAM (32 MB) is about 30 % slower",
      "tile it, or leave it to the processor", ORION)
def spill(sight: Sight) -> Found:
    size, room = working_set(sight.function), sight.profile.latency.sram_bytes
    if size > room:
        yield "program", f"weights and live values take {size:,} bytes, the SRAM has {room:,}"


def _square(statement: Statement | None) -> bool:
    args = dict(statement.args) if statement is not None else {}
    return statement is not None and (
        statement.op == "square" or (statement.op == "mul" and args.get("x") == args.get("y")))


@rule("R20", "program", WRONG, "fp16 ends at 65504: sums of squares overflow, infinities poison softmax and norms",
      "scale before squaring, use means, -1e4 for masks, clamp at the boundary", ORION)
def overflow(sight: Sight) -> Found:
    makers = {v.name: s for s in sight.function.statements for v in s.results}
    for name, value in sight.known.items():
        if value.type.dtype == "fp16" and any(isinstance(v, float) and not math.isfinite(v) for v in value.values):
            yield name, "a constant that is not finite"
    for statement in sight.function.statements:
        x = dict(statement.args).get("x")
        if statement.op in ("reduce_sum", "reduce_sum_square") and isinstance(x, str) and x in sight.types:
            inner = makers.get(x)
            source = dict(inner.args).get("x") if inner is not None else None
            if not (_square(inner) or statement.op == "reduce_sum_square") or _scaled(makers.get(str(source))):
                continue
            terms = sight.types[x].size // max(1, statement.results[0].type.size)
            yield statement.name, (f"a sum of {terms:,} squares overflows once their root mean square exceeds "
                                   f"{math.sqrt(65504 / max(terms, 1)):.1f}")


def _scaled(statement: Statement | None) -> bool:
    """Whether a value was multiplied by something, such as 1/16, before it is squared."""
    return statement is not None and statement.op in ("mul", "real_div")


@rule("L7", "runtime", WRONG, "results of `matmul` beyond 32752 are infinite", "scale an operand first", FRONT_END,
      by_host=True)
def ceiling(sight: Sight) -> Found:
    return ()


@rule("L8", "program", WRONG, "before the M5, a slice with an offset on the last axis saturates values above 4094",
      "slice another axis, or keep values small", FRONT_END, by_host=True)
def slice_saturates(sight: Sight) -> Found:
    for statement in sight.function.statements:
        begin = dict(statement.args).get("begin")
        value = sight.known.get(begin) if isinstance(begin, str) else begin
        starts = getattr(value, "values", ())
        if statement.op == "slice_by_index" and starts and starts[-1] != 0:
            yield statement.name, f"begins at {starts[-1]} of its last axis"


@rule("L9", "program", WRONG, "`reduce_sum` rounds every partial sum to fp16",
      "use reduce_mean, or a product with ones, which adds up in fp32", FRONT_END, by_host=True)
def narrow_sum(sight: Sight) -> Found:
    for statement in sight.function.statements:
        x = dict(statement.args).get("x")
        if statement.op == "reduce_sum" and isinstance(x, str) and x in sight.types:
            terms = sight.types[x].size // max(1, statement.results[0].type.size)
            if terms > 256:
                yield statement.name, f"a sum of {terms:,} terms"


RULES = (spill, overflow, ceiling, slice_saturates, narrow_sum)
