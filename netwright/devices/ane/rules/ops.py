"""Ops and arguments that the compiler refuses or gets wrong."""

from __future__ import annotations

from ..mil import Constant
from .rule import COMPILE, FRONT_END, ORION, WRONG, Found, Sight, rule


@rule("R1", "program", COMPILE, "`concat` is refused, with an empty error",
      "return several outputs, pack on the host, or put parts in place by 1x1 convolutions and add them", ORION)
def concat(sight: Sight) -> Found:
    for statement in sight.function.statements:
        if statement.op == "concat":
            yield statement.name, "concat"


@rule("R6", "program", WRONG, "the fused attention op ignores its mask",
      "spell it out: product, scale, add the mask, softmax, product", ORION)
def fused_attention(sight: Sight) -> Found:
    for statement in sight.function.statements:
        if statement.op == "scaled_dot_product_attention" and any(k == "attn_mask" for k, _ in statement.args):
            yield statement.name, "fused attention with a mask"


@rule("R10", "program", COMPILE, "`gelu` is refused", "0.5 x (1 + tanh(0.7979 (x + 0.044715 x^3)))", ORION)
def gelu(sight: Sight) -> Found:
    for statement in sight.function.statements:
        if statement.op == "gelu":
            yield statement.name, "gelu"


@rule("R15", "program", COMPILE, "transpose flags of `matmul` must be named constants",
      "bool n = const()[...] before it, and transpose_x=n", ORION)
def inline_flags(sight: Sight) -> Found:
    for statement in sight.function.statements:
        for key, argument in statement.args:
            if statement.op == "matmul" and key.startswith("transpose_") and isinstance(argument, Constant):
                yield statement.name, f"{key} in place"


@rule("R16", "program", COMPILE, "`conv` takes no bias", "add a [1, C, 1, 1] constant after it", ORION)
def bias(sight: Sight) -> Found:
    for statement in sight.function.statements:
        if statement.op == "conv" and any(key == "bias" for key, _ in statement.args):
            yield statement.name, "conv with bias"


@rule("L6", "program", COMPILE, "a reduction's result times exactly 0.0 is refused", "leave the product out", FRONT_END)
def times_zero(sight: Sight) -> Found:
    reduced = {s.name for s in sight.function.statements if s.op.startswith("reduce_")}
    for statement in sight.function.statements:
        names = set(statement.references())
        zero = any(n in sight.known and set(sight.known[n].values) == {0.0} for n in names)
        if statement.op == "mul" and names & reduced and zero:
            yield statement.name, "a reduction times 0.0"


@rule("N2", "program", COMPILE, "only ops that the engine has compile", "spell it out in other ops", FRONT_END)
def unknown_op(sight: Sight) -> Found:
    for statement in sight.function.statements:
        known = statement.op in sight.profile.ops or statement.op in ("concat", "gelu")
        if not known:
            yield statement.name, f"op {statement.op}"


@rule("L13", "program", WRONG, "where fused causal attention works, it does so up to 2,048 positions, and not where "
      "queries and keys both reach 512", "spell it out: product, scale, add the mask, softmax, product", FRONT_END)
def long_attention(sight: Sight) -> Found:
    bounds = sight.profile.bounds
    if sight.profile.holds("R6") or not bounds.causal_positions:
        return
    for statement in sight.function.statements:
        args = dict(statement.args)
        if statement.op != "scaled_dot_product_attention" or "attn_mask" not in args:
            continue
        queries, keys = (sight.types[str(args[k])].shape[-2] for k in ("query", "key"))
        if max(queries, keys) > bounds.causal_positions or min(queries, keys) >= bounds.causal_both:
            yield statement.name, f"{queries} queries, {keys} keys"


@rule("L14", "program", COMPILE, "where `concat` compiles, it takes two operands",
      "put parts in place by 1x1 convolutions and add them", FRONT_END)
def many_parts(sight: Sight) -> Found:
    most = sight.profile.bounds.concat_operands
    if sight.profile.holds("R1") or not most:
        return
    for statement in sight.function.statements:
        values = dict(statement.args).get("values")
        if statement.op == "concat" and isinstance(values, tuple) and len(values) > most:
            yield statement.name, f"concat of {len(values)}"


RULES = (concat, fused_attention, gelu, inline_flags, bias, times_zero, long_attention, many_parts, unknown_op)
