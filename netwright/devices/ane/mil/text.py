"""A program as MIL text: one statement a line, no spaces but those that separate (Orion, emitted text)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from netwright.errors import UserError

from .program import Argument, BlobFile, Constant, Dictionary, Function, Program, Statement, Value, Variable
from .tokens import NAME, quoted


def to_text(program: Program) -> str:
    """The text of a program; `parse` gives it back. Raises UserError for a name that MIL cannot spell."""
    head = f"program({program.version})\n"
    if program.attributes:
        head += f"[{_attributes(program.attributes)}]\n"
    return head + "{\n" + "".join(_function(f) for f in program.functions) + "}\n"


def value_text(value: Value) -> str:
    """A value as it stands in the text: `int32(3)`, `tensor<fp16, [2]>([1.0,0.5])`, `tensor<...>(BLOBFILE(...))`."""
    if isinstance(value, Dictionary):
        items = ", ".join(f"{{{quoted(k)}, {quoted(v)}}}" for k, v in value.items)
        return f"dict<string, string>({{{items}}})"
    if isinstance(value, BlobFile):
        return f"{value.type}(BLOBFILE(path=string({quoted(value.path)}), offset=uint64({value.offset})))"
    return f"{value.type}({_nested(_spelled(value), value.type.shape)})"


def _function(function: Function) -> str:
    inputs = ", ".join(_variable(v) for v in function.inputs)
    lines = [f"    func {_name(function.name)}<{_name(function.opset)}>({inputs}) {{"]
    lines += [f"        {_statement(s)}" for s in function.statements]
    lines.append(f"    }} -> ({', '.join(_name(o) for o in function.outputs)});")
    return "\n".join(lines) + "\n"


def _statement(statement: Statement) -> str:
    results = ", ".join(_variable(v) for v in statement.results)
    args = ", ".join(f"{_name(name)}={_argument(a)}" for name, a in statement.args)
    brackets = f"[{_attributes(statement.attributes)}]" if statement.attributes else ""
    return f"{results} = {_name(statement.op)}({args}){brackets};"


def _argument(argument: Argument) -> str:
    if isinstance(argument, tuple):
        return f"({', '.join(_argument(a) for a in argument)})"
    return _name(argument) if isinstance(argument, str) else value_text(argument)


def _attributes(attributes: Sequence[tuple[str, Value]]) -> str:
    return ", ".join(f"{_name(name)}{_equals(value)}{value_text(value)}" for name, value in attributes)


def _equals(value: Value) -> str:
    return " = " if isinstance(value, Dictionary) else "="


def _variable(variable: Variable) -> str:
    return f"{variable.type} {_name(variable.name)}"


def _spelled(constant: Constant) -> list[str]:
    dtype = constant.type.dtype
    if dtype == "string":
        return [quoted(str(v)) for v in constant.values]
    if dtype == "bool":
        return ["true" if v else "false" for v in constant.values]
    if constant.words:
        return [f"0x{word:04x}" for word in constant.numpy().reshape(-1).view(np.uint16).tolist()]
    # the shortest decimal that rounds to the element
    return [str(v) for v in constant.numpy().reshape(-1)]


def _nested(spelled: list[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return spelled[0]
    rows = spelled
    for axis in reversed(range(1, len(shape))):
        size = shape[axis]
        rows = [f"[{','.join(rows[i * size : (i + 1) * size])}]" for i in range(prod(shape[:axis]))]
    return f"[{','.join(rows)}]"


def _name(name: str) -> str:
    if NAME.match(name) is None:
        raise UserError(f"{name!r} is not a name in MIL: letters, digits and _ only, no digit first")
    return name
