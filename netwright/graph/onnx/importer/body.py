"""Reading nodes: in an order that works, only those that are needed, each by its rule."""

from __future__ import annotations

import struct
from collections import ChainMap
from collections.abc import Iterable, MutableMapping
from typing import Any

import numpy as np

from netwright.errors import UserError

from .entry import Entry, Known
from .importer import LONGEST_NAME, RULES, Call, Import, Located
from .tensors import array_of

Names = MutableMapping[str, Entry]
DEEPEST = 40  # functions within functions, subgraphs within subgraphs

# what a damaged file can make Python, NumPy and protobuf say
DAMAGE = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError, AssertionError, MemoryError,
    RuntimeError, struct.error,
)  # fmt: skip


def one_line(error: BaseException | str) -> str:
    """An error's message on one line of reasonable length."""
    text = " ".join(str(error)[:5000].split()) or type(error).__name__
    return text if len(text) <= 700 else text[:700] + " ..."


def domain_of(proto: Any) -> str:
    """The operator domain that a protobuf message names; the standard's is empty."""
    return "" if proto.domain == "ai.onnx" else str(proto.domain)


def read_body(im: Import, nodes: Iterable[Any], names: Names, wanted: Iterable[str]) -> None:
    """Read what `wanted` needs of these onnx.NodeProtos into `names`. Raises UserError in one line."""
    nodes = list(nodes)
    im.depth += 1
    im.calls += len(nodes) // 16  # a loop's body is looked through at each turn
    if im.depth > DEEPEST:
        raise UserError(f"functions and subgraphs are nested more than {DEEPEST} deep")
    for node in _ordered(nodes, names, wanted):
        _read(im, node, names)
    im.depth -= 1


def _ordered(nodes: list[Any], names: Names, wanted: Iterable[str]) -> list[Any]:
    """What leads to `wanted`, producers first; the file's order where it is one. Raises UserError on a cycle."""
    maker: dict[str, int] = {}
    own = names.maps[0] if isinstance(names, ChainMap) else names  # a subgraph's names may hide those around it
    for index, node in enumerate(nodes):
        for name in node.output:
            if name and (name in maker or name in own):
                raise UserError(f"two values are called {name[:80]!r}")
            maker[name] = index
    maker.pop("", None)
    order: list[int] = []
    state = [0] * len(nodes)  # 0 new, 1 open, 2 done
    stack = [(maker[name], False) for name in wanted if name in maker]
    while stack:
        index, closing = stack.pop()
        if closing:
            state[index] = 2
            order.append(index)
            continue
        if state[index] == 2:
            continue
        if state[index] == 1:
            raise UserError(f"the nodes form a cycle through {nodes[index].output[0]!r}")
        state[index] = 1
        stack.append((index, True))
        for name in _reads(nodes[index]):
            made = maker.get(name)
            if made is not None and state[made] == 1:
                raise UserError(f"the nodes form a cycle through {name[:80]!r}")
            if made is not None and state[made] == 0:
                stack.append((made, False))
    fits = all(maker[name] < index for index in order for name in _reads(nodes[index]) if name in maker)
    return [nodes[i] for i in (sorted(order) if fits else order)]


def _reads(node: Any) -> list[str]:
    """Names that a node reads, its subgraphs' included."""
    names = list(node.input)
    for attribute in node.attribute:
        for graph in ((attribute.g,) if attribute.HasField("g") else ()) + tuple(attribute.graphs):
            names += [name for inner in graph.node for name in _reads(inner)]
            names += [value.name for value in graph.output]
    return names


def attributes_of(im: Import, node: Any) -> dict[str, Any]:
    """Attribute name -> int, float, str, tuple of these, array, or protobuf graph."""
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in im.attributes:
                found[attribute.name] = im.attributes[attribute.ref_attr_name]
        else:
            found[attribute.name] = attribute_value(im, attribute)
    return found


def attribute_value(im: Import, attribute: Any) -> Any:
    """The Python value of an onnx.AttributeProto. Raises UserError for kinds that nothing here reads."""
    kind = attribute.type
    if kind == 1:
        return attribute.f
    if kind == 2:
        return attribute.i
    if kind == 3:
        return attribute.s.decode("utf-8", "replace")
    if kind == 4:
        return array_of(attribute.t, im.folder)
    if kind == 5:
        return attribute.g
    if kind == 6:
        return tuple(attribute.floats)
    if kind == 7:
        return tuple(attribute.ints)
    if kind == 8:
        return tuple(s.decode("utf-8", "replace") for s in attribute.strings)
    return attribute  # types, sparse tensors: no rule takes them


def _read(im: Import, node: Any, names: Names) -> None:
    im.calls += 1
    if im.calls > im.most_calls:
        raise UserError(f"the model has over {im.most_calls} nodes once its functions and loops are written out")
    outputs = list(node.output)
    before, im.label = im.label, next((name for name in outputs if name), node.op_type)[:LONGEST_NAME]
    first = len(im.b._nodes)
    domain = domain_of(node)
    try:
        for name in node.input:
            if name and name not in names:
                raise UserError(f"its input {name[:80]!r} is made by no node and is no input of the model")
        inputs = [names[name] if name else None for name in node.input]
        attributes = attributes_of(im, node)
        call = Call(im, domain, node.op_type, inputs, list(node.input), attributes, outputs)
        call.scope, call.proto = names, node
        results = _evaluate(call)
        results = results if isinstance(results, tuple) else (results,)
        for name, result in zip(outputs, results):
            if name and result is not None:
                names[name] = _named(im, name, result, first)
        for name in outputs[len(results) :] + [o for o, r in zip(outputs, results) if r is None]:
            if name:
                raise UserError(f"its result {name[:80]!r} is not computed: drop it from the model")
    except Located:
        raise
    except UserError as error:
        raise located(im, node, domain, str(error)) from None
    except DAMAGE as error:
        raise located(im, node, domain, one_line(error)) from None
    im.label = before


def located(im: Import, node: Any, domain: str, reason: str) -> Located:
    """The error for a node: file, node, operator with domain and opset, reason."""
    opset = im.opsets.get(domain)
    where = f"{domain or 'ai.onnx'} opset {opset}" if opset is not None else f"{domain or 'ai.onnx'}, no opset given"
    name = node.name or next((o for o in node.output if o), "?")
    line = f"{im.file}: node {name[:80]!r}, {node.op_type[:40]} ({where}): {reason}"
    return Located(one_line(line))


def _evaluate(call: Call) -> Any:
    from .functions import local_function, standard_function

    key = (call.domain, call.op_type)
    if key in call.im.functions:
        return local_function(call)
    if key in RULES:
        return RULES[key](call)
    return standard_function(call)


def _named(im: Import, name: str, result: Any, first: int) -> Entry:
    """A result under its ONNX name: values made by nodes from `first` on take it, known arrays where they have none."""
    if isinstance(result, np.ndarray | np.generic):
        return Known(result, name)
    if isinstance(result, Known):
        if not result.name:
            result.name = name
        return result
    if im.born.get(result, -1) >= first and result.name != name:
        result.name = im.b.unique(name[:LONGEST_NAME])
    return result  # type: ignore[no-any-return]
