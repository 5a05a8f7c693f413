"""Changing places of a Graph: a node by another computation, an op's attributes, a layer's width or kernel.

What reads a layer whose width changed follows: weights, biases and norms take the shape that their inputs now have. A
smaller parameter is a cut out of the stored tensor (first channels, centre of the kernel), so that all networks of one
program share its weights; a larger one is a fresh tensor, named after its shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netwright.graph import OPS, Graph, Init, Node, Op, Type, Value
from netwright.graph.builder import live, opened
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from netwright.graph.ops.shape import Reshape
from netwright.graph.signature import signature
from netwright.graph.store import CentreCrop, Param, Slice

KEEP = "keep"
LAYERS = (Conv, Linear)
ONE, ZERO = Init("constant", 1.0), Init("constant", 0.0)
_NORMS: dict[type[Op], tuple[int, tuple[Init, ...]]] = {  # the axis of its parameters, and how they begin
    BatchNorm: (1, (ONE, ZERO, ZERO, ONE)), GroupNorm: (1, (ONE, ZERO)),
    LayerNorm: (-1, (ONE, ZERO)), RMSNorm: (-1, (ONE,)),
}


def rewritten(graph: Graph, replaced: Mapping[str, Any], changed: Mapping[str, Mapping[str, Any]]) -> Graph:
    """The graph with nodes `replaced` and attributes `changed`, both by the node's name.

    A node is replaced by an op's name or an Op on the same inputs, a function (b, *inputs) -> value, a dict of such a
    function as "build" with its keyword arguments, None (its first input passes through) or "keep". Attributes are the
    op's own, and "width" and "kernel" of a convolution, "width" of a linear layer.
    ValueError where the pieces do not fit, the output's type changes or an op lacks the attribute.
    """
    work = Rewriting(graph)
    for node in graph.nodes:
        inputs = tuple(work.new[v] if v is not None else None for v in node.inputs)
        chosen = replaced.get(node.name, KEEP)
        if chosen == KEEP and isinstance(chosen, str):
            made = work.copied(node, inputs, changed.get(node.name, {}))
        else:
            made = (work.replaced(node, inputs, chosen),)
        work.new.update(zip(node.outputs, made, strict=True))
    return work.finished()


class Rewriting:
    """One graph being rewritten; `new` says what became of each of its values."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.b, self.new = opened(graph)

    def finished(self) -> Graph:
        """The new graph, without what nothing reads."""
        graph, outputs = self.graph, [self.new[v] for v in self.graph.outputs]
        for before, after in zip(graph.outputs, outputs, strict=True):
            if before.type != after.type:
                raise ValueError(f"{graph.name}: the output {before.name} was {before.type} and became {after.type}")
        for state in graph.states:
            self.b.update(self.new[state.before], self.new[state.after])
        self.b.output(*outputs)
        return live(self.b.graph())

    def replaced(self, node: Node, inputs: tuple[Value | None, ...], chosen: Any) -> Value:
        """What stands in the node's place."""
        if len(node.outputs) != 1:
            raise ValueError(f"{node.name}: a node with {len(node.outputs)} results cannot be replaced")
        if isinstance(chosen, str):
            if chosen not in OPS:
                raise ValueError(f'{node.name}: there is no op "{chosen}"')
            chosen = OPS[chosen]()
        if isinstance(chosen, Op):
            return self._apply(node, chosen, inputs)[0]
        data = [v for v, old in zip(inputs, node.inputs) if old not in self.graph.param_of]
        if chosen is None:
            (first, *_) = data
            assert first is not None
            return first
        arguments: dict[str, Any] = {}
        if isinstance(chosen, dict):
            arguments = {key: value for key, value in chosen.items() if key != "build"}
            chosen = chosen.get("build")
        if not callable(chosen):
            raise ValueError(f'{node.name}: replaced by an op, a function, None or "keep", not {chosen!r}')
        with self.b.scope(node.name):
            value = chosen(self.b, *data, **arguments)
        if not isinstance(value, Value):
            raise ValueError(f"{node.name}: its replacement returns a value of the graph, not {value!r}")
        return value

    def copied(
        self, node: Node, inputs: tuple[Value | None, ...], changes: Mapping[str, Any]
    ) -> tuple[Value, ...]:
        """The same op, its attributes changed, its parameters as large as its inputs now ask for."""
        own = {name: value for name, value in changes.items() if not hidden(node.op, name)}
        try:
            op = replace(node.op, **own) if own else node.op
        except TypeError:
            raise ValueError(f"{node.name}: {node.op.name} has no attribute {', '.join(own)}") from None
        x = inputs[0] if inputs else None
        if isinstance(op, Conv) and x is not None:
            op, inputs = self._conv(node, op, inputs, changes)
        elif isinstance(op, Linear) and x is not None:
            width = changes.get("width", node.inputs[1].shape[0])  # type: ignore[union-attr]
            inputs = (x, self._sized(node, 1, (width, x.shape[-1]), Init()), *self._biases(node, inputs, width))
        elif type(op) in _NORMS and x is not None:
            axis, starts = _NORMS[type(op)]
            rest = zip(inputs[1:], starts, strict=False)
            inputs = (x, *(
                self._sized(node, place, (x.shape[axis],), start) if old is not None else None
                for place, (old, start) in enumerate(rest, 1)
            ))
        elif isinstance(op, Reshape) and x is not None and x.type != node.inputs[0].type:  # type: ignore[union-attr]
            op = replace(op, shape=(*op.shape[:-1], -1)) if -1 not in op.shape else op
        return self._apply(node, op, inputs)

    def _conv(
        self, node: Node, op: Conv, inputs: tuple[Value | None, ...], changes: Mapping[str, Any]
    ) -> tuple[Op, tuple[Value | None, ...]]:
        x, old, weight = inputs[0], node.inputs[0], node.inputs[1]
        assert x is not None and old is not None and weight is not None
        width, kernel, rank = weight.shape[0], weight.shape[2:], len(weight.shape) - 2
        if op.groups > 1 and op.groups == old.shape[1]:  # depthwise: as wide as its input
            width = width // op.groups * x.shape[1]
            op = replace(op, groups=x.shape[1])
        elif "width" in changes:
            width = changes["width"]
        if "kernel" in changes:
            size = changes["kernel"]
            size = (size,) * rank if isinstance(size, int) else tuple(size)
            _, padding, dilation = op.geometry(rank)
            grown = tuple((size[i] - kernel[i]) * dilation[i] // 2 for i in range(rank)) * 2
            op, kernel = replace(op, padding=tuple(p + g for p, g in zip(padding, grown, strict=True))), size
        made = self._sized(node, 1, (width, x.shape[1] // op.groups, *kernel), Init())
        return op, (x, made, *self._biases(node, inputs, width))

    def _biases(self, node: Node, inputs: tuple[Value | None, ...], width: int) -> list[Value | None]:
        return [self._sized(node, place, (width,), ZERO) if given is not None else None
                for place, given in enumerate(inputs[2:], 2)]

    def _sized(self, node: Node, place: int, shape: tuple[int, ...], start: Init) -> Value:
        """The parameter at an input of `node` in this shape."""
        old = node.inputs[place]
        assert old is not None
        param = self.graph.param_of.get(old)
        if old.shape == shape or param is None:
            return self.new[old]
        value = Value(self.b.unique(old.name), Type(shape, old.dtype))
        fits = len(shape) == len(old.shape) and all(n <= m for n, m in zip(shape, old.shape, strict=True))
        if fits and not param.views:
            view = CentreCrop() if len(shape) > 2 else Slice((0,) * len(shape))
            made = Param(value, param.tensor, (view,), old.type, param.init, param.trainable)
        else:
            tensor = f"{param.tensor}.{'x'.join(map(str, shape))}"
            made = Param(value, tensor, (), None, start, param.trainable)
        self.b._params.append(made)
        return value

    def _apply(self, node: Node, op: Op, inputs: tuple[Value | None, ...]) -> tuple[Value, ...]:
        try:
            known = signature(op, *[v.type if v is not None else None for v in inputs])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{node.name}: {error}") from None
        outputs = tuple(Value(self.b.unique(v.name), t) for v, t in zip(node.outputs, known.outputs, strict=True))
        self.b._nodes.append(Node(op, inputs, outputs, known))
        return outputs


def hidden(op: Op, name: str) -> bool:
    """Whether this is an attribute that stands in the shape of a layer's weights."""
    return (name == "width" and isinstance(op, LAYERS)) or (name == "kernel" and isinstance(op, Conv))
