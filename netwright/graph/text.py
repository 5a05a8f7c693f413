"""The readable text form of a graph, and its parser: `parse(to_text(g))` has g's names and structure.

    graph "net"
    input x: float32[1,1,8,8]
    param conv.weight: float32[4,1,3,3] init=("he", 1.0)
    conv = conv(x, conv.weight) {padding=(1, 1, 1, 1)}      # float32[1,4,8,8], 2304 MACs
    output conv
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from .builder import Builder
from .graph import Graph, Node, Value
from .op import build_op
from .signature import signature
from .store import CentreCrop, Init, Mask, Param, Slice, Store, Transform, View
from .types import Quant, parse_type

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./:\-]*\Z")
_ANY_NAME = r'(?:"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_./:\-]*)'
_NAMES = rf"{_ANY_NAME}(?:, {_ANY_NAME})*"
_TOKEN = re.compile(_ANY_NAME)
_NODE = re.compile(
    rf"(?P<outs>{_NAMES}) = (?P<op>[a-z0-9_]+)\((?P<ins>{_NAMES}|)\)(?: \{{(?P<attributes>.*?)\}})?(?:  #.*)?\Z"
)
_VIEWS: dict[str, type] = {c.__name__: c for c in (Slice, CentreCrop, Transform, Mask)}


def to_text(graph: Graph) -> str:
    """One line a value or node; types and MACs of results are comments."""
    lines = [f"graph {json.dumps(graph.name)}"]
    lines += [f"input {_name(v.name)}: {v.type}" for v in graph.inputs]
    for s in graph.states:
        start = f"initial={s.initial!r}" if s.tensor is None else f"tensor={json.dumps(s.tensor)}"
        lines.append(f"state {_name(s.name)}: {s.before.type} {start}")
    for param in graph.params:
        extra = ""
        if param.tensor != param.value.name:
            extra += f" tensor={json.dumps(param.tensor)}"
        if param.full is not None:
            extra += f" full={json.dumps(str(param.full))}"
        if param.views:
            extra += f" views={[(type(v).__name__, *vars(v).values()) for v in param.views]!r}"
        extra += f" init={(param.init.kind, param.init.scale)!r}" if param.init is not None else " init=None"
        extra += "" if param.trainable else " fixed"
        lines.append(f"param {_name(param.value.name)}: {param.value.type}{extra}")
    for node in graph.nodes:
        outs = ", ".join(_name(v.name) for v in node.outputs)
        ins = ", ".join(_name(v.name) if v is not None else "_" for v in node.inputs)
        attributes = ", ".join(f"{k}={_plain(v)!r}" for k, v in node.op.attributes().items())
        braces = f" {{{attributes}}}" if attributes else ""
        macs = f", {node.macs} MACs" if node.macs else ""
        lines.append(f"{outs} = {node.op.name}({ins}){braces}  # {', '.join(str(v.type) for v in node.outputs)}{macs}")
    lines += [f"update {_name(s.name)} = {_name(s.after.name)}" for s in graph.states]
    lines += [f"output {_name(v.name)}" for v in graph.outputs]
    return "\n".join(lines) + "\n"


def parse(text: str, store: Store | None = None) -> Graph:
    """Read the text form. Raises ValueError with the line number for anything it does not understand."""
    b = Builder("net", store)
    values: dict[str, Value] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                _parse_line(b, values, line.strip())
            except (ValueError, SyntaxError, KeyError, TypeError) as error:
                reason = f"unknown name {error}" if isinstance(error, KeyError) else error
                raise ValueError(f"line {number}: {reason}") from None
    return b.graph()


def _parse_line(b: Builder, values: dict[str, Value], line: str) -> None:
    keyword, _, rest = line.partition(" ")
    if rest.startswith("= "):  # a node whose result is called like a keyword
        _parse_node(b, values, line)
    elif keyword == "graph":
        b.name = str(json.loads(rest))
    elif keyword == "input":
        name, text = _split_name(rest)
        values[name] = b.input(name, parse_type(text.lstrip(": ")))
    elif keyword == "state":
        name, text = _split_name(rest)
        type_text, _, options = text.lstrip(": ").partition(" ")
        found = _keywords(options)
        values[name] = b.state(name, parse_type(type_text), float(found.get("initial", 0)), found.get("tensor"))
    elif keyword == "param":
        name, text = _split_name(rest)
        values[name] = _parse_param(b, name, text.lstrip(": "))
    elif keyword == "update":
        before, after = (_unquote(t) for t in _TOKEN.findall(rest))
        b.update(values[before], values[after])
    elif keyword == "output":
        b.output(values[_split_name(rest)[0]])
    else:
        _parse_node(b, values, line)


def _parse_param(b: Builder, name: str, text: str) -> Value:
    type_text, _, options = text.partition(" ")
    value = Value(b.unique(name), parse_type(type_text))
    keywords = re.sub(r" (?=(?:tensor|full|views|init)=)", ",", " " + options.removesuffix(" fixed")).lstrip(",")
    found = _keywords(keywords)
    views: tuple[View, ...] = tuple(_VIEWS[kind](*arguments) for kind, *arguments in found.get("views", ()))
    full = parse_type(found["full"]) if "full" in found else None
    init = Init(*found["init"]) if found.get("init") else None
    fixed = options.endswith("fixed")
    b._params.append(Param(value, found.get("tensor", name), views, full, init, not fixed))
    return value


def _parse_node(b: Builder, values: dict[str, Value], line: str) -> None:
    match = _NODE.match(line)
    if match is None:
        raise ValueError(f"not a statement: {line[:60]!r}")
    op = build_op(match["op"], _keywords(match["attributes"] or ""))
    inputs = [None if t == "_" else values[_unquote(t)] for t in _TOKEN.findall(match["ins"])]
    names = [_unquote(t) for t in _TOKEN.findall(match["outs"])]
    known = signature(op, *[v.type if v is not None else None for v in inputs])
    outputs = tuple(Value(b.unique(n), t) for n, t in zip(names, known.outputs, strict=True))
    b._nodes.append(Node(op, tuple(inputs), outputs, known))
    values.update({v.name: v for v in outputs})


class _Infinity(ast.NodeTransformer):
    """`inf` and `nan`, which floats print as and which are no literals."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


def _keywords(text: str) -> dict[str, Any]:
    """`a=1, b=(2, -inf)` as a dict of literals."""
    call = _Infinity().visit(ast.parse(f"f({text})")).body[0].value
    if not isinstance(call, ast.Call) or call.args:
        raise ValueError(f"expected name=value pairs, got {text[:60]!r}")
    return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, Quant) else value


def _name(name: str) -> str:
    return name if _NAME.match(name) and name != "_" else json.dumps(name)


def _unquote(token: str) -> str:
    return str(json.loads(token)) if token.startswith('"') else token


def _split_name(text: str) -> tuple[str, str]:
    match = _TOKEN.match(text)
    if match is None:
        raise ValueError(f"expected a name at {text[:40]!r}")
    token = match.group()
    # a bare name swallows the colon that ends it
    if not token.startswith('"') and token.endswith(":"):
        token = token[:-1]
    return _unquote(token), text[len(token) :]
