"""A convolution and the bias added after it, as one op: only where the profile takes `bias=` (R16)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..mil import BlobFile, Function, Statement, TensorType, Variable
from .rewrite import called


def fuse(function: Function) -> Function:
    """add(conv(x), b) with a constant b [1, O, 1, 1] becomes conv(x, bias=b [O])."""
    makers = {v.name: s for s in function.statements for v in s.results}
    uses = Counter(name for s in function.statements for name in s.references()) + Counter(function.outputs)
    gone: set[str] = set()
    made: list[Statement] = []
    for statement in function.statements:
        pair = _pair(statement, makers, uses)
        if pair is None:
            made.append(statement)
            continue
        conv, bias = pair
        blob = bias.attribute("val")
        assert isinstance(blob, BlobFile)
        flat = replace(blob, type=TensorType(blob.type.dtype, (blob.type.size,)))
        name = f"{bias.name}_flat"
        if name not in makers:
            held = called(bias, name)
            attributes = tuple((k, flat if k == "val" else v) for k, v in held.attributes)
            makers[name] = replace(held, results=(Variable(name, flat.type),), attributes=attributes)
            made.append(makers[name])
        gone.add(conv.name)
        made.append(called(replace(conv, args=(("bias", name), *conv.args)), statement.name))
    return replace(function, statements=tuple(s for s in made if s.name not in gone))


def _pair(
    statement: Statement, makers: dict[str, Statement], uses: Counter[str]
) -> tuple[Statement, Statement] | None:
    args = dict(statement.args)
    x, y = args.get("x"), args.get("y")
    if statement.op != "add" or not isinstance(x, str) or not isinstance(y, str):
        return None
    conv, bias = makers.get(x), makers.get(y)
    if conv is None or bias is None or conv.op != "conv" or uses[x] != 1 or any(k == "bias" for k, _ in conv.args):
        return None
    value = bias.attribute("val") if bias.op == "const" else None
    channels = conv.results[0].type.shape[1]
    if not isinstance(value, BlobFile) or value.type.shape != (1, channels, 1, 1):
        return None
    return conv, bias
