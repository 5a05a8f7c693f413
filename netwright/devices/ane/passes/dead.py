"""Dead code."""

from __future__ import annotations

from dataclasses import replace

from ..mil import Function


def eliminate(function: Function) -> Function:
    """Statements that no output needs are dropped, constants too."""
    needed = set(function.outputs)
    kept = []
    for statement in reversed(function.statements):
        if any(v.name in needed for v in statement.results):
            kept.append(statement)
            needed.update(statement.references())
    return replace(function, statements=tuple(kept[::-1]))
