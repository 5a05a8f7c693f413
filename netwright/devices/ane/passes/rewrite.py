"""What passes share: renaming references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..mil import Constant, Function, Statement, Variable, string


def referring(statement: Statement, names: Mapping[str, str]) -> Statement:
    """The statement with names of its operands replaced."""
    if not any(name in names for name in statement.references()):
        return statement

    def one(argument: Any) -> Any:
        if isinstance(argument, tuple):
            return tuple(one(a) for a in argument)
        return names.get(argument, argument) if isinstance(argument, str) else argument

    return replace(statement, args=tuple((key, one(a)) for key, a in statement.args))


def called(statement: Statement, name: str) -> Statement:
    """The statement of one result under another name."""
    (result,) = statement.results
    attributes = tuple((key, string(name) if key == "name" else value) for key, value in statement.attributes)
    return replace(statement, results=(Variable(name, result.type),), attributes=attributes)


def constants(function: Function) -> dict[str, Constant]:
    """Name -> value of the constants that stand in the text."""
    found = {}
    for statement in function.statements:
        value = statement.attribute("val") if statement.op == "const" else None
        if isinstance(value, Constant):
            found[statement.name] = value
    return found
