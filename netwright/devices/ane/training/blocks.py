"""What a network is cut into for training: a forward and a backward program for each half of a layer.

The backward program is the gradient of the model's own graph (`compile.autodiff`) from the last product of the half
back to what its norm gives. It computes the inside of the half again instead of reading it: so it takes two surfaces
of one size (R12 without packing), nothing is rounded on its way through a surface, and one [S, d] array is kept a half
where Orion keeps up to six (2026, section 9). The price is a third more work on the device. Norm, residual and the
weight gradients dW = dy^T x [out, in] are the processor's, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netwright.compile.autodiff import autodiff
from netwright.compile.part import part
from netwright.graph import Graph, Node, Store, Value
from netwright.models import llama

Change = Callable[[Graph], Graph]


@dataclass(frozen=True)
class Product:
    """A linear layer: its weight [out, in], and where its input x [S, in] and its output's gradient dy [S, out] are.

    Places count the outputs of the backward program; `NORM` is the norm's result, `GIVEN` the gradient it was given.
    """

    tensor: str
    x: int
    dy: int


NORM, GIVEN = -1, -2


@dataclass(frozen=True)
class Block:
    """Half a layer, x -> x + branch(norm(x)).

    Attributes:
        name: `layers.I.attention` or `layers.I.feed_forward`.
        forward: x [S, d] (and adapters) -> hidden [S, d].
        backward: dy [S, d] (adapters), n [S, d], the norm's result -> dn [S, d], then the gradients of `wanted`, then
            what the products need.
        norm: tensor of the norm's scale [d]; `epsilon` is the norm's.
        wanted: adapter inputs whose gradients the backward program gives, in order.
        inputs: adapter inputs, in the order of both programs.
    """

    name: str
    forward: Graph
    backward: Graph
    norm: str
    epsilon: float
    products: tuple[Product, ...]
    wanted: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


def blocks(config: llama.Config, length: int, store: Store, change: Change | None = None) -> list[Block]:
    """The halves of every layer, first to last, for windows of S = `length` positions.

    `change` puts something into each half's graph first (adapters, as further inputs); the network's own weights are
    fixed then, and the backward programs give the gradients of those inputs.
    """
    made = []
    for layer in range(config.layers):
        for build in (llama.attention, llama.feed_forward):
            made.append(_block(build(config, layer, length, store=store), change))
    return made


def _block(graph: Graph, change: Change | None) -> Block:
    graph = replace(graph, outputs=graph.outputs[:1])
    if change is not None:
        graph = change(graph)
    (norm,) = (node for node in graph.nodes if node.op.name == "rms_norm")
    last = graph.producers[graph.outputs[0]].inputs[1]
    assert last is not None
    scope = norm.name.rpartition(".")[0]
    kind = "attention" if any(node.op.name == "causal_attention" for node in graph.nodes) else "feed_forward"
    adapters = sorted(v.name for v in graph.inputs if v.name != "x")
    forward = part(graph, {name: name for name in (*adapters, "x")}, [graph.outputs[0].name])
    branch = part(graph, {**{name: name for name in adapters}, norm.name: "n"}, [last.name])
    return _differentiated(f"{scope}.{kind}", graph, forward, branch, norm, adapters, change is None)


def _differentiated(
    name: str, graph: Graph, forward: Graph, branch: Graph, norm: Node, adapters: Sequence[str], weights: bool
) -> Block:
    (end,) = branch.outputs
    linear = [node for node in branch.nodes if node.op.name == "linear"] if weights else []
    inner = [node.output.name for node in linear if node.output is not end]
    gradient = autodiff(branch, ["n", *adapters, *inner])
    given = [name for name in (_x(node) for node in linear) if name != "n"]
    grads = [value.name for value in gradient.outputs[1:]]
    ends = [*grads, *dict.fromkeys(given)]
    backward = part(gradient, {f"d_{end.name}": "dy", **{n: n for n in adapters}, "n": "n"}, ends)
    products = tuple(
        Product(
            _tensor(branch, node),
            NORM if _x(node) == "n" else ends.index(_x(node)),
            GIVEN if node.output is end else grads.index(f"d_{node.output.name}"),
        )
        for node in linear
    )
    op: Any = norm.op
    scale = norm.inputs[1]
    assert scale is not None
    return Block(
        name, replace(forward, name=f"{name}.forward"), replace(backward, name=f"{name}.backward"),
        graph.param_of[scale].tensor, op.epsilon, products, tuple(adapters), tuple(adapters),
    )  # fmt: skip


def _x(node: Node) -> str:
    value = node.inputs[0]
    assert value is not None
    return value.name


def _tensor(graph: Graph, node: Node) -> str:
    weight: Value | None = node.inputs[1]
    assert weight is not None
    return graph.param_of[weight].tensor
