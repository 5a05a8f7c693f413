"""A cast and the cast back."""

from __future__ import annotations

from dataclasses import replace

from ..mil import Function, Statement

_WIDER = {("fp16", "fp32"), ("int32", "int64"), ("bool", "fp16"), ("bool", "fp32"), ("bool", "int32")}


def fuse(function: Function) -> Function:
    """cast(cast(x, A -> B), B -> A) becomes x where B holds every value of A.

    As published the pass drops fp32 -> fp16 -> fp32 too, which changes values; here it stays.
    """
    types = function.types()
    makers = {v.name: s for s in function.statements for v in s.results}

    def fused(statement: Statement) -> Statement:
        inner = makers.get(_operand(statement))
        if statement.op != "cast" or inner is None or inner.op != "cast" or _operand(inner) not in types:
            return statement
        source, middle = types[_operand(inner)], inner.results[0].type
        if source != statement.results[0].type or (source.dtype, middle.dtype) not in _WIDER:
            return statement
        return replace(statement, op="identity", args=(("x", _operand(inner)),))

    return replace(function, statements=tuple(fused(s) for s in function.statements))


def _operand(statement: Statement) -> str:
    x = dict(statement.args).get("x")
    return x if isinstance(x, str) else ""
