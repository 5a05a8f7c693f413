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
        forward: adapters, x [S, d] -> hidden [S, d].
        backward: dy [S, d], adapters, n [S, d], the norm's result -> dn [S, d], the gradient of each adapter, then what
            the products need.
        norm: tensor of the norm's scale [d]; `epsilon` is the norm's.
        products: the linear layers whose weights are trained.
        adapters: names of the adapter inputs, in the order of both programs.
    """

    name: str
    forward: Graph
    backward: Graph
    norm: str
    epsilon: float
    products: tuple[Product, ...]
    adapters: tuple[str, ...]


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
    op: Any = norm.op
    last, scale = graph.producers[graph.outputs[0]].inputs[1], norm.inputs[1]
    assert last is not None and scale is not None
    kind = "attention" if any(node.op.name == "causal_attention" for node in graph.nodes) else "feed_forward"
    name = f"{norm.name.rpartition('.')[0]}.{kind}"
    adapters = tuple(sorted(v.name for v in graph.inputs if v.name != "x"))
    same = {adapter: adapter for adapter in adapters}
    forward = part(graph, {**same, "x": "x"}, [graph.outputs[0].name])
    branch = part(graph, {**same, norm.name: "n"}, [last.name])
    backward, products = _backward(branch, adapters, change is None)
    return Block(
        name, replace(forward, name=f"{name}.forward"), replace(backward, name=f"{name}.backward"),
        graph.param_of[scale].tensor, op.epsilon, products, adapters,
    )  # fmt: skip


def _backward(branch: Graph, adapters: Sequence[str], weights: bool) -> tuple[Graph, tuple[Product, ...]]:
    """The gradient of a branch, and with `weights` the linear layers whose weight gradients its outputs give."""
    (end,) = branch.outputs
    linear = [node for node in branch.nodes if node.op.name == "linear"] if weights else []
    inner = [node.name for node in linear if node.output is not end]
    gradient = autodiff(branch, ["n", *adapters, *inner])
    given = dict.fromkeys(name for name in map(_x, linear) if name != "n")
    ends = [*(value.name for value in gradient.outputs[1:]), *given]
    backward = part(gradient, {f"d_{end.name}": "dy", **{a: a for a in adapters}, "n": "n"}, ends)
    products = tuple(
        Product(
            _tensor(branch, node),
            NORM if _x(node) == "n" else ends.index(_x(node)),
            GIVEN if node.output is end else ends.index(f"d_{node.name}"),
        )
        for node in linear
    )
    return backward, products


def _x(node: Node) -> str:
    value = node.inputs[0]
    assert value is not None
    return value.name


def _tensor(graph: Graph, node: Node) -> str:
    weight: Value | None = node.inputs[1]
    assert weight is not None
    return graph.param_of[weight].tensor
