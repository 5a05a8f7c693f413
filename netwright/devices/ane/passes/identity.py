"""Identities: `identity`, a cast to the same type, a reshape to the same shape, a transpose that leaves every axis."""

from __future__ import annotations

from dataclasses import replace

from ..mil import Constant, Function, Statement, TensorType
from .rewrite import called, constants, referring


def eliminate(function: Function) -> Function:
    """Users read the operand instead. An output keeps its name: the operand's statement takes it over (R17, R3)."""
    types, known = function.types(), constants(function)
    makers = {v.name: s for s in function.statements for v in s.results}
    outputs = set(function.outputs)
    replaced: dict[str, str] = {}  # what users read instead
    renamed: dict[str, str] = {}  # statement -> the output's name that it takes
    dropped: set[str] = set()
    for statement in function.statements:
        source = _source(statement, types, known)
        if source is None:
            continue
        source = replaced.get(source, source)
        name = statement.name
        if name not in outputs:
            replaced[name] = source
        else:
            maker = makers.get(source)
            if maker is None or len(maker.results) != 1 or maker.op == "const" or {source} & (outputs | renamed.keys()):
                continue
            renamed[source] = name
        dropped.add(name)
    if not dropped:
        return function
    names = {**replaced, **renamed}
    names |= {name: renamed.get(source, source) for name, source in replaced.items()}
    statements = []
    for statement in function.statements:
        if statement.name in dropped:
            continue
        made = referring(statement, names)
        statements.append(called(made, renamed[statement.name]) if statement.name in renamed else made)
    return replace(function, statements=tuple(statements))


def _source(statement: Statement, types: dict[str, TensorType], known: dict[str, Constant]) -> str | None:
    """The operand whose value the statement gives, unchanged."""
    args = dict(statement.args)
    x = args.get("x")
    if not isinstance(x, str) or x not in types:
        return None
    same = types[x] == statement.results[0].type
    if statement.op == "identity" or (statement.op in ("cast", "reshape") and same):
        return x
    perm = args.get("perm")
    value = known.get(perm) if isinstance(perm, str) else perm
    if statement.op == "transpose" and isinstance(value, Constant) and value.values == tuple(range(len(value.values))):
        return x
    return None
