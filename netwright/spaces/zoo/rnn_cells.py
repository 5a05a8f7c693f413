"""Recurrent cells of NAS-Bench-NLP (Klyuchnikov et al. 2022, section 3): word language models, one step a Graph.

A recipe is a cell as the benchmark writes it: {"node_0": {"op": "linear", "input": ["x", "h_prev_0"]}, ...,
"h_new_0": {...}}. `h_prev_k` is memory k before the step, `h_new_k` after it; `h_new_0` is what the layer gives on.
`parse` reads one, `network` makes it a Graph with named states ("layer0.h_0", ...), `recipe` writes a candidate as one.

The space is the same cells by decisions: how many memories, what each node does to which earlier ones, which nodes the
memories become. Nodes that no memory needs are dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial, reduce
from graphlib import CycleError, TopologicalSorter
from typing import Any

from netwright.errors import UserError, nearest
from netwright.graph import Builder, Graph, Init, Op, Type, Value
from netwright.graph.builder import live
from netwright.graph.ops.binary import Add, Mul, Sub
from netwright.graph.ops.common import scalar
from netwright.graph.ops.index import Gather
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.unary import LeakyRelu, Sigmoid, Tanh
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, OneOf

ACTIVATIONS: dict[str, Op] = {
    "activation_tanh": Tanh(), "activation_sigm": Sigmoid(), "activation_leaky_relu": LeakyRelu(0.01),
}
ELEMENTWISE: dict[str, Op] = {"elementwise_prod": Mul(), "elementwise_sum": Add()}
TAKES = {"linear": (1, 3), "blend": (3, 3), **dict.fromkeys(ELEMENTWISE, (2, 3)), **dict.fromkeys(ACTIVATIONS, (1, 1))}

Recipe = dict[str, dict[str, Any]]


def parse(text: str | Mapping[str, Any]) -> Recipe:
    """A recipe from its JSON, nodes in an order in which they can be computed. UserError for anything else."""
    try:
        given = json.loads(text) if isinstance(text, str) else dict(text)
    except json.JSONDecodeError as error:
        raise UserError(f"a recurrent cell is a JSON object of nodes: {error}") from None
    if not isinstance(given, dict) or "h_new_0" not in given:
        raise UserError('a recurrent cell needs a node "h_new_0": what the layer gives on')
    memories = _memories(given)
    reads = {"x", *(f"h_prev_{k}" for k in range(memories))}
    if missing := [f"h_new_{k}" for k in range(memories) if f"h_new_{k}" not in given]:
        raise UserError(f'a recurrent cell with {memories} memories needs a node "{missing[0]}"')
    for name, node in given.items():
        if not isinstance(node, dict) or not isinstance(node.get("input"), list):
            raise UserError(f'node "{name}" is not {{"op": ..., "input": [...]}}')
        op, inputs = node.get("op"), node["input"]
        if op not in TAKES:
            raise UserError(f'node "{name}": there is no operation "{op}" {nearest(str(op), list(TAKES))}')
        least, most = TAKES[op]
        if not least <= len(inputs) <= most:
            raise UserError(f'node "{name}": {op} takes {least} to {most} inputs, not {len(inputs)}')
        if unknown := [i for i in inputs if i not in reads and i not in given]:
            raise UserError(f'node "{name}" reads "{unknown[0]}", which is neither x, a memory nor a node')
    try:
        order = list(TopologicalSorter({name: node["input"] for name, node in given.items()}).static_order())
    except CycleError as error:
        raise UserError(f"nodes {' -> '.join(error.args[1])} wait for each other") from None
    return {name: {"op": given[name]["op"], "input": list(given[name]["input"])} for name in order if name in given}


def _memories(nodes: Mapping[str, Any]) -> int:
    """How many nodes are called h_new_ and a number; others may begin so too."""
    return sum(name.startswith("h_new_") and name.removeprefix("h_new_").isdigit() for name in nodes)


def network(recipe: str | Mapping[str, Any], vocabulary: int = 10_000, embedding: int = 400, hidden: int = 600,
            layers: int = 3) -> Graph:
    """word [1] int64 -> logits [1, vocabulary], one step. The last layer is as wide as the embedding, whose table is
    the decoder's weight too (the benchmark's model; sizes are its own). UserError for a recipe that is none."""
    nodes = parse(recipe)
    b = Builder("rnn")
    word = b.input("word", Type((1,), "int64"))
    table = b.param("embedding", (vocabulary, embedding), init=Init("uniform", 0.1))
    v = b(Gather(), table, word, name="embedded")
    for layer in range(layers):
        with b.scope(f"layer{layer}"):
            v = _cell(b, v, nodes, embedding if layer == layers - 1 else hidden)
    bias = b.param("decoder.bias", (vocabulary,), init=Init("constant", 0.0))
    b.output(b(Linear(), v, table, bias, name="decoder"))
    return b.graph()


def _cell(b: Builder, x: Value, nodes: Recipe, width: int) -> Value:
    memories = _memories(nodes)
    states = [b.state(f"h_{k}", Type((1, width))) for k in range(memories)]
    values = {"x": x, **{f"h_prev_{k}": state for k, state in enumerate(states)}}
    uniform = Init("uniform", 1 / math.sqrt(width))
    for name, node in nodes.items():
        given = [values[i] for i in node["input"]]
        if node["op"] != "linear" and any(v.shape[-1] != width for v in given):
            raise UserError(f'node "{name}": {node["op"]} reads what is {x.shape[-1]} wide; a linear node makes it '
                            f"{width} wide, as the memories are")  # fmt: skip
        with b.scope(name):
            values[name] = _applied(b, node["op"], given, width, uniform)
    for k, state in enumerate(states):
        b.update(state, values[f"h_new_{k}"])
    return values["h_new_0"]


def _applied(b: Builder, op: str, given: list[Value], width: int, init: Init) -> Value:
    if op == "linear":
        weights = [b.param(f"weight{i}", (width, v.shape[-1]), init=init) for i, v in enumerate(given)]
        first = b(Linear(), given[0], weights[0], b.param("bias", (width,), init=init), name="linear0")
        rest = [b(Linear(), v, w, name=f"linear{i}") for i, (v, w) in enumerate(zip(given[1:], weights[1:]), 1)]
        return reduce(lambda a, c: b(Add(), a, c, name="sum"), rest, first)
    if op in ELEMENTWISE:
        return reduce(lambda a, c: b(ELEMENTWISE[op], a, c, name=op), given)
    if op == "blend":
        gate, yes, no = given
        kept = b(Mul(), b(Sub(), scalar(b, 1.0, gate), gate), no)
        return b(Add(), b(Mul(), gate, yes), kept, name="blend")
    return b(ACTIVATIONS[op], given[0], name=op)


def space(nodes: int = 8, embedding: int = 400, hidden: int = 600, layers: int = 3) -> Space:
    """Cells of at most `nodes` nodes and 1 to 3 memories; ValueError unless there are at least 3 nodes."""
    if nodes < 3:
        raise ValueError(f"nodes ({nodes}) are at least 3: three memories become three of them")
    tree = {"memories": OneOf({str(count): _tree(nodes, count) for count in (1, 2, 3)})}
    about = "NAS-Bench-NLP: recurrent cells of word language models"
    return Space("rnn-cells", tree, partial(build, embedding, hidden, layers), about=about)


def _tree(nodes: int, memories: int) -> dict[str, Any]:
    sources = [f"h_prev_{k}" for k in range(memories)]
    tree: dict[str, Any] = {}
    for place in range(nodes):
        read, anything = Choice(tuple(sources)), ("x", *sources)  # x has another width: linear nodes read it
        branches: dict[str, Any] = {op: {"a": read} for op in ACTIVATIONS}
        branches |= {op: {"a": read, "b": read} for op in ELEMENTWISE}
        branches |= {"linear": {"a": Choice(anything), "b": Choice(anything), "c": Choice((None, *anything))},
                     "blend": {"a": read, "b": read, "c": read}}
        tree[f"node_{place}"] = OneOf(branches)
        sources.append(f"node_{place}")
    made = tuple(f"node_{place}" for place in range(nodes))
    return {**tree, **{f"h_new_{k}": Choice(made) for k in range(memories)}}


def recipe(structure: Any) -> Recipe:
    """The candidate's cell as NAS-Bench-NLP writes it, without nodes that no memory needs."""
    cell = structure["memories"].value
    nodes = {name: {"op": part.name, "input": [i for i in part.value.values() if i is not None]}
             for name, part in cell.items() if name.startswith("node_")}
    found = {name: nodes[node] for name, node in cell.items() if name.startswith("h_new_")}
    waiting = [i for node in found.values() for i in node["input"]]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found[name] = nodes[name]
            waiting += nodes[name]["input"]
    return parse(found)


def build(embedding: int, hidden: int, layers: int, structure: Any, x: Type, y: Type) -> Build:
    """x: words [1], y: logits [1, V] -> one step of the language model."""
    if x.shape != (1,) or not x.dtype.startswith("int") or len(y.shape) != 2:
        raise ValueError(f'the space "rnn-cells" needs one word (int64 [1]) and scores of words [1, V], not {x}, {y}')
    return Build(live(network(recipe(structure), y.shape[-1], embedding, hidden, layers)))
