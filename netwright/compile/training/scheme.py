"""What is updated: biases of the last layers, weights of chosen layers or of their first input channels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from netwright.errors import UserError
from netwright.graph import Graph, Node, Value
from netwright.graph.ops.int8.conv import QConv, QLinear

RATIOS = (0.125, 0.25, 0.5, 1.0)  # shares of a layer's input channels (Lin et al. 2022, section 2.2)


@dataclass(frozen=True, eq=False)
class TrainableLayer:
    """A convolution or fully connected layer whose parameters are constants of the graph."""

    index: int  # among the graph's layers, first to last
    node: Node

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def weights(self) -> Value:
        value = self.node.inputs[1]
        assert value is not None
        return value

    @property
    def groups(self) -> int:
        return self.node.op.groups if isinstance(self.node.op, QConv) else 1

    @property
    def kind(self) -> str:
        """`linear`, `depthwise`, `pointwise` or `conv`."""
        if isinstance(self.node.op, QLinear):
            return "linear"
        if self.groups > 1:
            return "depthwise" if self.weights.shape[3] == 1 else "grouped"
        return "pointwise" if self.weights.shape[1:3] == (1, 1) else "conv"

    @property
    def ratios(self) -> tuple[float, ...]:
        """Shares of the input channels that can be updated; those of several groups only together."""
        return RATIOS if self.groups == 1 and self.weights.shape[-1] > 1 else (1.0,)

    def channels(self, ratio: float) -> int:
        """How many of the channels that each output reads are updated."""
        return max(1, math.floor(self.weights.shape[-1] * ratio))


def layers(graph: Graph) -> tuple[TrainableLayer, ...]:
    """The layers of an int8 graph whose parameters can be updated, in order."""
    found: list[TrainableLayer] = []
    for node in graph.nodes:
        op = node.op
        if not isinstance(op, (QConv, QLinear)) or op.w_zero != 0:
            continue
        if all(v in graph.param_of for v in node.inputs[1:]):
            found.append(TrainableLayer(len(found), node))
    return tuple(found)


@dataclass(frozen=True)
class Scheme:
    """A sparse update: biases of the last `biases` layers, and (layer, ratio) pairs of weights, by increasing layer.

    A layer whose weights are updated has its bias updated only if it is among the last.
    """

    biases: int
    weights: tuple[tuple[int, float], ...] = ()

    def checked(self, graph: Graph) -> Scheme:
        """The same. Raises UserError where it names what the graph does not have, or updates nothing."""
        known = layers(graph)
        if not 0 <= self.biases <= len(known):
            raise UserError(f"biases of the last {self.biases} layers: {graph.name} has {len(known)}")
        if not self.biases and not self.weights:
            raise UserError("the scheme updates nothing; name layers or a number of biases")
        indices = [index for index, _ in self.weights]
        if indices != sorted(set(indices)) or any(not 0 <= i < len(known) for i in indices):
            raise UserError(f"weights of layers {indices}: name each of 0 to {len(known) - 1} at most once, in order")
        for index, ratio in self.weights:
            if ratio not in known[index].ratios:
                allowed = ", ".join(f"{r:g}" for r in known[index].ratios)
                raise UserError(f"layer {index} ({known[index].name}): {ratio:g} of its channels, not one of {allowed}")
        return self

    def to_json(self) -> dict[str, Any]:
        return {"biases": self.biases, "weights": [list(pair) for pair in self.weights]}
