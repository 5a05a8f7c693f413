"""MIL text to a program: recursive descent over `tokens.py`; spaces and line ends are free."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.errors import UserError

from .program import (
    DTYPES,
    Argument,
    BlobFile,
    Constant,
    Dictionary,
    Function,
    Program,
    Statement,
    TensorType,
    Value,
    Variable,
)
from .tokens import Token, Tokens, unquoted

MAX_RANK = 16
MAX_AXIS = 2**31 - 1


def parse(text: str | bytes, source: str = "MIL text") -> Program:
    """The program that `text` spells (bytes: UTF-8). Raises UserError: `source`, line, column, what was expected.

    Names are not resolved and the types of results are not checked: preparing the program for execution does that.
    """
    return _program(Tokens(_decoded(text, source) if isinstance(text, bytes) else text, source))


def _decoded(text: bytes, source: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        column = error.start - text.rfind(b"\n", 0, error.start)
        raise UserError(f"{source}, line {line}, column {column}: expected UTF-8 text") from None


def _program(t: Tokens) -> Program:
    place = t.expect("program", "(") + 1
    version = t.take("a version number such as 1.3", "number").text
    if not version.replace(".", "").isdecimal():
        raise t.error(place, f"expected a version number such as 1.3, found {version!r}")
    t.expect(")")
    attributes = _attributes(t)
    t.expect("{")
    functions: list[Function] = []
    while not t.accept("}"):
        if t.peek().text != "func":
            raise t.expected("'func' or '}'")
        functions.append(_function(t))
    t.take("nothing after the program's last '}'", "end")
    return Program(tuple(functions), version, attributes)


def _function(t: Tokens) -> Function:
    t.expect("func")
    name = t.take("a function's name", "name").text
    t.expect("<")
    opset = t.take("an opset such as ios18", "name").text
    t.expect(">", "(")
    inputs: list[Variable] = []
    if not t.accept(")"):
        inputs.append(_variable(t))
        while t.accept(","):
            inputs.append(_variable(t))
        t.expect(")")
    t.expect("{")
    statements: list[Statement] = []
    while not t.accept("}"):
        statements.append(_statement(t))
    t.expect("->", "(")
    outputs = [t.take("the name of an output", "name").text]
    while t.accept(","):
        outputs.append(t.take("the name of an output", "name").text)
    t.expect(")", ";")
    return Function(name, opset, tuple(inputs), tuple(statements), tuple(outputs))


def _statement(t: Tokens) -> Statement:
    results = [_variable(t)]
    while t.accept(","):
        results.append(_variable(t))
    t.expect("=")
    op = t.take("the name of an op", "name").text
    t.expect("(")
    args: list[tuple[str, Argument]] = []
    if not t.accept(")"):
        args.append(_named_argument(t))
        while t.accept(","):
            args.append(_named_argument(t))
        t.expect(")")
    attributes = _attributes(t)
    t.expect(";")
    return Statement(tuple(results), op, tuple(args), attributes)


def _named_argument(t: Tokens) -> tuple[str, Argument]:
    name = t.take("the name of an argument", "name").text
    t.expect("=")
    if not t.accept("("):
        return name, _one_argument(t)
    several = [_one_argument(t)]
    while t.accept(","):
        several.append(_one_argument(t))
    t.expect(")")
    return name, tuple(several)


def _one_argument(t: Tokens) -> str | Value:
    token = t.take("the name of a value, or a value in place", "name")
    after = t.peek().text
    if after == "(" or (after == "<" and token.text in ("tensor", "dict")):
        return _value(t, token)
    return token.text


def _attributes(t: Tokens) -> tuple[tuple[str, Value], ...]:
    """`[name=value, ...]`, or nothing."""
    found: list[tuple[str, Value]] = []
    if t.accept("["):
        while True:
            name = t.take("the name of an attribute", "name").text
            t.expect("=")
            found.append((name, _value(t, t.take("the type of a value", "name"))))
            if not t.accept(","):
                break
        t.expect("]")
    return tuple(found)


def _variable(t: Tokens) -> Variable:
    kind = _type(t, t.take("a type", "name"))
    return Variable(t.take("a name", "name").text, kind)


def _type(t: Tokens, token: Token) -> TensorType:
    if token.text != "tensor":
        return TensorType(_dtype(t, token))
    t.expect("<")
    dtype = _dtype(t, t.take("an element type", "name"))
    t.expect(",", "[")
    shape: list[int] = []
    if not t.accept("]"):
        shape.append(_axis(t))
        while t.accept(","):
            if len(shape) == MAX_RANK:
                raise t.error(t.peek().place, f"expected at most {MAX_RANK} axes")
            shape.append(_axis(t))
        t.expect("]")
    t.expect(">")
    return TensorType(dtype, tuple(shape))


def _dtype(t: Tokens, token: Token) -> str:
    if token.text not in DTYPES:
        raise t.expected(f"a type (tensor, {', '.join(DTYPES)})", token)
    return token.text


def _axis(t: Tokens) -> int:
    token = t.take("the size of an axis", "number")
    size = int(token.text) if token.text.isdecimal() and len(token.text) < 20 else -1
    if not 0 <= size <= MAX_AXIS:
        raise t.expected(f"the size of an axis, 0 to {MAX_AXIS}", token)
    return size


def _value(t: Tokens, token: Token) -> Value:
    """What follows a type: `(literal)`, `(BLOBFILE(...))`, or the items of a dictionary."""
    if token.text == "dict":
        return _dictionary(t)
    kind = _type(t, token)
    t.expect("(")
    if t.accept("BLOBFILE"):
        t.expect("(", "path", "=", "string", "(")
        path = unquoted(t.take("a path in quotes", "string").text)
        t.expect(")", ",", "offset", "=", "uint64", "(")
        offset = t.take("a byte offset", "number")
        if not offset.text.isdecimal() or len(offset.text) > 19:
            raise t.expected("a byte offset", offset)
        t.expect(")", ")", ")")
        return BlobFile(kind, path, int(offset.text))
    elements: list[Token] = []
    _elements(t, kind.shape, elements)
    t.expect(")")
    return _constant(t, kind, elements)


def _dictionary(t: Tokens) -> Dictionary:
    t.expect("<", "string", ",", "string", ">", "(", "{")
    items: list[tuple[str, str]] = []
    while t.accept("{"):
        key = unquoted(t.take("a key in quotes", "string").text)
        t.expect(",")
        items.append((key, unquoted(t.take("a value in quotes", "string").text)))
        t.expect("}")
        if not t.accept(","):
            break
    t.expect("}", ")")
    return Dictionary(tuple(items))


def _elements(t: Tokens, shape: tuple[int, ...], into: list[Token]) -> None:
    """The elements of lists nested as the shape says."""
    if not shape:
        into.append(t.take("an element", "number", "name", "string"))
        return
    t.expect("[")
    for index in range(shape[0]):
        if index and not t.accept(","):
            raise t.expected(f"',' and {shape[0] - index} more elements of this axis of {shape[0]}")
        _elements(t, shape[1:], into)
    t.expect("]")


def _constant(t: Tokens, kind: TensorType, elements: list[Token]) -> Constant:
    dtype = DTYPES[kind.dtype]
    values: list[Any]
    if dtype is None:
        values = [unquoted(e.text) if e.kind == "string" else _refuse(t, "a string in quotes", e) for e in elements]
    elif kind.dtype == "bool":
        values = [e.text == "true" if e.text in ("true", "false") else _refuse(t, "true or false", e) for e in elements]
    elif dtype.kind == "f":
        if words := kind.dtype == "fp16" and bool(elements) and all(_is_word(e) for e in elements):
            bits = np.array([_word(t, e) for e in elements], np.uint16)
            return Constant(kind, tuple(bits.view(np.float16).tolist()), words)
        with np.errstate(over="ignore"):
            rounded = np.array([_float(t, e) for e in elements], np.float64).astype(dtype).tolist()
        for element, value in zip(elements, rounded):
            if value in (np.inf, -np.inf) and "inf" not in element.text:
                raise t.expected(f"a number that fits {kind.dtype}", element)
        values = rounded
    else:
        info = np.iinfo(dtype)
        values = [_integer(t, e, int(info.min), int(info.max), kind.dtype) for e in elements]
    return Constant(kind, tuple(values))


def _is_word(token: Token) -> bool:
    return token.text.startswith("0x") and "p" not in token.text


def _word(t: Tokens, token: Token) -> int:
    if len(token.text) > 6 or "." in token.text:
        raise t.expected("a word of 16 bits such as 0x3c00", token)
    return int(token.text, 16)


def _float(t: Tokens, token: Token) -> float:
    try:
        if token.text in ("inf", "nan", "-inf"):
            return float(token.text)
        if token.kind == "number" and "0x" not in token.text:
            return float(token.text)
        if token.kind == "number" and "p" in token.text:
            return float.fromhex(token.text)
    except OverflowError:
        pass
    raise t.expected("a number", token)


def _integer(t: Tokens, token: Token, low: int, high: int, dtype: str) -> int:
    digits = token.text.removeprefix("-")
    value = int(token.text) if token.kind == "number" and digits.isdecimal() and len(digits) < 21 else None
    if value is None or not low <= value <= high:
        raise t.expected(f"a whole number of {dtype}", token)
    return value


def _refuse(t: Tokens, what: str, token: Token) -> Any:
    raise t.expected(what, token)
