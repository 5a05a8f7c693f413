"""Building `train_step` and `infer` of an int8 network for one update scheme."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from netwright.compile import pads
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Node, Quant, Type, Value, live, rebuild
from netwright.graph.builder import copy_node, opened
from netwright.graph.ops.binary import Add
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.gradient import QBiasGradient, QConvInputGradient, QConvWeightGradient
from netwright.graph.ops.int8.loss import QCrossEntropy
from netwright.graph.ops.int8.softmax import QSoftmax
from netwright.graph.ops.int8.trained import QTrainedConv
from netwright.graph.ops.int8.update import QBiasUpdate, QConvWeightStep, QWeightUpdate
from netwright.graph.ops.quantise import Dequantise, Quantise
from netwright.graph.ops.shape import Reshape, Slice

from .backward import BACKWARD, clip, masked
from .scheme import Scheme, TrainableLayer, layers

Schedule = Literal["fused", "immediate", "end"]
Residue = Literal["int16", "int8", "none"]


HEADROOM = 4.0


def body(graph: Graph, headroom: float = HEADROOM) -> Graph:
    """A network from its int8 input to its int8 logits: float ends and a last softmax are taken off, padding folded in.

    The logits get `headroom` times their range, about 0: they were calibrated for what the network knew, and a clipped
    logit has no gradient, so that a step too far would never be made good. 1 leaves them as they are.
    Raises UserError where it is not int8 throughout, or has several inputs or outputs or states.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.states:
        raise UserError(f"{graph.name}: training on the device takes a network of one input, one output and no state")
    output = graph.outputs[0]
    while (last := graph.producers.get(output)) is not None and isinstance(last.op, (Dequantise, QSoftmax)):
        assert last.inputs[0] is not None
        output = last.inputs[0]
    b = Builder(graph.name, graph.store.copy())
    new: dict[Value, Value] = {}
    _copy_params(b, graph, new)
    first = [n for n in graph.consumers.get(graph.inputs[0], []) if isinstance(n.op, Quantise)]
    if graph.inputs[0].dtype == "float32" and len(first) == 1:
        new[first[0].output] = b.input(graph.inputs[0].name, first[0].output.type)
    else:
        new[graph.inputs[0]] = b.input(graph.inputs[0].name, graph.inputs[0].type)
    for node in graph.nodes:
        if node in first or any(v is not None and v not in new for v in node.inputs):
            continue
        made = copy_node(b, node, tuple(new[v] if v is not None else None for v in node.inputs))
        new.update(zip(node.outputs, made.outputs, strict=True))
    if output not in new or new[output].dtype != "int8" or b.graph().inputs[0].dtype != "int8":
        raise UserError(f"{graph.name} is not int8 from input to logits: quantise it first (`netwright quantize`)")
    b.output(new[output])
    inner = pads.fold(live(b.graph()))
    return inner if headroom == 1.0 else _widened(inner, headroom)


def _widened(graph: Graph, headroom: float) -> Graph:
    """With another quantisation of the last layer's result, where no activation is fused into it."""
    last = graph.producers.get(graph.outputs[0])
    while last is not None and isinstance(last.op, Reshape) and last.inputs[0] is not None:
        last = graph.producers.get(last.inputs[0])
    if last is None or not isinstance(last.op, (QConv, QLinear)) or (last.op.low, last.op.high) != (-128, 127):
        return graph

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        if node is not last or not isinstance(node.op, (QConv, QLinear)):
            return None
        out = Quant(float(np.float32(node.op.out.scale * headroom)), 0)
        return b(replace(node.op, out=out), *inputs, name=node.name)

    return rebuild(graph, rule)


def _copy_params(b: Builder, graph: Graph, new: dict[Value, Value]) -> None:
    for param in graph.params:
        array, type = graph.store.read(param), param.value.type
        new[param.value] = b.constant(array, param.value.name, type.dtype, type.quant)


def build(
    graph: Graph,
    scheme: Scheme,
    *,
    rate: float = 0.01,
    scaling: bool = True,
    residue: Residue = "int16",
    schedule: Schedule = "fused",
) -> dict[str, Graph]:
    """`infer` (x -> logits) and `train_step` (x, label int32 [1] -> loss float32 [1], logits) of an int8 network.

    graph: as `body` gives it, batch 1. rate: of stochastic gradient descent in the units of the float network with
    `scaling` (quantisation-aware: the gradient of integer weights is divided by the square of their scale, that of
    biases by that of weight times input, which makes the step that of the float network), else of the integers.
    residue: what a weight keeps of a step below one unit. schedule: `fused` updates a layer's weights while the
    gradient is computed, an output channel at a time; `immediate` stores one layer's gradient, `end` all of them until
    the backward pass is done. The results are the same.

    States: `<layer>.trained` int8 [O, Kh, Kw, R], `<layer>.residue` of its shape, `<layer>.trained_bias` int32 [O].
    Raises UserError for a scheme that does not suit the graph and for an op that gradients cannot pass.
    """
    scheme.checked(graph)
    if not np.isfinite(rate) or rate < 0:
        raise UserError(f"rate {rate:g}: it must be a number that is not negative")
    steps = {
        "infer": Step(graph, scheme, rate, scaling, residue, schedule, train=False),
        "train_step": Step(graph, scheme, rate, scaling, residue, schedule, train=True),
    }
    return {entry: step.built() for entry, step in steps.items()}


def _window(op: QConv | QLinear) -> dict[str, Any]:
    """Where a layer's window lies, as attributes of the gradient ops."""
    names = ("stride", "padding", "dilation", "groups")
    return {name: getattr(op, name) for name in names} if isinstance(op, QConv) else {}


class Step:
    """One entry under construction. `b` builds it; rules of `backward` use `constant` and `wanted`."""

    def __init__(
        self,
        graph: Graph,
        scheme: Scheme,
        rate: float,
        scaling: bool,
        residue: Residue,
        schedule: Schedule,
        train: bool,
    ) -> None:
        self.graph, self.scheme, self.rate, self.scaling = graph, scheme, rate, scaling
        self.residue, self.schedule, self.train = residue, schedule, train
        self.layers = {layer.node: layer for layer in layers(graph)}
        self.ratios = dict(scheme.weights)
        self.b, self._new = opened(graph)
        self.b.name = graph.name
        self._taken: dict[Node, tuple[Value | None, Value | None, Value]] = {}  # trained and fixed weights, bias
        self._kept: dict[Node, Value] = {}  # inputs (or their first channels) that weight gradients read
        self._residues: dict[Node, Value | None] = {}
        self._masks: dict[Node, Value | None] = {}
        self._grads: dict[Value, Value] = {}
        self._later: list[Callable[[], None]] = []
        self._reached: set[Value] = set()
        for node in graph.nodes:
            if any(v in self._reached for v in node.inputs) or self._updates(node):
                self._reached.update(node.outputs)

    def wanted(self, value: Value | None) -> bool:
        """Whether the gradient of a value of the graph leads to a parameter that is updated."""
        return value in self._reached

    def constant(self, array: np.ndarray, name: str) -> Value:
        return self.b.constant(array, name)

    def made(self, value: Value) -> Value:
        """What stands for a value of the graph in the step."""
        return self._new[value]

    def built(self) -> Graph:
        for node in self.graph.nodes:
            self._forward(node)
        logits = self._new[self.graph.outputs[0]]
        if self.train:
            self._backward(logits)
        else:
            self.b.output(logits)
        return live(self.b.graph())

    def _updates_bias(self, layer: TrainableLayer) -> bool:
        return layer.index >= len(self.layers) - self.scheme.biases

    def _updates(self, node: Node) -> bool:
        layer = self.layers.get(node)
        return layer is not None and (layer.index in self.ratios or self._updates_bias(layer))

    def _forward(self, node: Node) -> None:
        inputs = tuple(self._new[v] if v is not None else None for v in node.inputs)
        below = self.train and node.output in self._reached
        layer = self.layers.get(node)
        if layer is not None and (below or self._updates(node)):
            self._forward_layer(layer, inputs)
            return
        op = masked(node.op) if below else None
        if op is not None:
            both: Any = self.b(op, *inputs, name=node.name)
            self._new[node.output], self._masks[node] = both
            return
        made = copy_node(self.b, node, inputs)
        self._new.update(zip(node.outputs, made.outputs, strict=True))

    def _forward_layer(self, layer: TrainableLayer, inputs: tuple[Value | None, ...]) -> None:
        """A layer by `q_trained_conv`: on an image of one pixel where it is fully connected."""
        b, node, op = self.b, layer.node, layer.node.op
        x, name = inputs[0], node.name
        assert x is not None
        if x.shape[0] != 1:
            raise UserError(f"{name}: training on the device takes one sample at a time, not a batch of {x.shape[0]}")
        if isinstance(op, QLinear):
            x = b(Reshape((1, 1, 1, x.shape[1])), x, name=f"{name}.pixel")
            window = QTrainedConv(x=op.x, out=op.out, low=op.low, high=op.high, round_once=True, mask=self.train)
        else:
            assert isinstance(op, QConv)
            window = QTrainedConv(
                op.stride, op.padding, op.dilation, op.groups, op.x, op.out, op.low, op.high, op.float_product,
                mask=self.train,
            )  # fmt: skip
        trained, fixed, bias = self._parameters(layer)
        if trained is not None and self.train:
            self._kept[node] = self._first_channels(x, trained.shape[3] * layer.groups, name)
        made: Any = b(window, x, trained, fixed, inputs[2], bias, name=name)
        y, self._masks[node] = made if self.train else (made, None)
        self._new[node.output] = b(Reshape((1, y.shape[3])), y) if isinstance(op, QLinear) else y

    def _parameters(self, layer: TrainableLayer) -> tuple[Value | None, Value | None, Value]:
        """The weights in two parts and the bias of a layer: what is updated as states."""
        b, node, name = self.b, layer.node, layer.name
        w, bias = (self.graph.constant(node.inputs[i]) for i in (1, 3))
        assert w is not None and bias is not None
        w = w.reshape(w.shape[0], 1, 1, w.shape[1]) if w.ndim == 2 else w
        trained: Value | None = None
        fixed: Value | None = None
        ratio = self.ratios.get(layer.index)
        channels = layer.channels(ratio) if ratio is not None else 0
        if channels:
            trained = self._state(f"{name}.trained", w[..., :channels])
            if self.residue != "none" and self.train:
                self._residues[node] = b.state(f"{name}.residue", Type(trained.shape, self.residue))
        if channels < w.shape[3]:
            fixed = b.constant(w[..., channels:], f"{name}.fixed")
        if self._updates_bias(layer):
            held = self._state(f"{name}.trained_bias", bias)
        else:
            held = b.constant(bias, f"{name}.bias")
        self._taken[node] = trained, fixed, held
        return trained, fixed, held

    def _state(self, name: str, start: np.ndarray) -> Value:
        """A parameter that is updated; `infer` only reads it."""
        tensor = f"{name}.start"
        self.b.store[tensor] = np.ascontiguousarray(start)
        state = self.b.state(name, Type(start.shape, str(start.dtype)), tensor=tensor)
        self.b.update(state, state)
        return state

    def _first_channels(self, x: Value, channels: int, name: str) -> Value:
        if channels == x.shape[3]:
            return x
        return self.b(Slice((0, 0, 0, 0), (*x.shape[:3], channels)), x, name=f"{name}.kept")

    def _backward(self, logits: Value) -> None:
        b = self.b
        label = b.input("label", Type((1,), "int32"))
        row = logits if len(logits.shape) == 2 else b(Reshape((1, logits.type.size)), logits)
        assert row.type.quant is not None
        ends: Any = b(QCrossEntropy(row.type.quant), row, label, name="loss")
        self._grads[self.graph.outputs[0]] = b(Reshape(logits.shape), ends[1])
        for node in reversed(self.graph.nodes):
            g = self._grads.pop(node.output, None)
            if g is None or not self.wanted(node.output):
                continue
            layer = self.layers.get(node)
            if layer is not None:
                self._backward_layer(layer, g)
                continue
            rule = BACKWARD.get(type(node.op))
            if rule is None:
                raise UserError(
                    f"{node.name}: {node.op.name} has no gradient here; update only layers behind it, or replace it"
                )
            for value, part in zip(node.inputs, rule(self, node, self._masks.get(node), g)):
                self._accumulate(value, part)
        for update in self._later:
            update()
        b.output(ends[0], logits)

    def _accumulate(self, value: Value | None, part: Value | None) -> None:
        if value is None or part is None or not self.wanted(value):
            return
        known = self._grads.get(value)
        self._grads[value] = part if known is None else self.b(Add(), known, part)

    def _backward_layer(self, layer: TrainableLayer, g: Value) -> None:
        """Gradients of input, bias and weights; the input's first, since it needs the weights as they were."""
        b, node, name, op = self.b, layer.node, layer.name, layer.node.op
        x = node.inputs[0]
        assert x is not None and isinstance(op, (QConv, QLinear))
        trained, fixed, bias = self._taken[node]
        scale = self.graph.constant(node.inputs[2])
        assert scale is not None
        if isinstance(op, QLinear):
            g = b(Reshape((1, 1, 1, g.shape[1])), g)
        slope = (np.float64(op.x.scale) * scale.astype(np.float64) / op.out.scale).astype(np.float32)
        g = clip(self, g, self._masks[node], slope, name)
        window = _window(op)
        if self.wanted(x):
            size = (x.shape[1], x.shape[2]) if isinstance(op, QConv) else (1, 1)
            part = b(QConvInputGradient(**window, size=size), g, trained, fixed, name=f"d_{name}.input")
            self._accumulate(x, part if isinstance(op, QConv) else b(Reshape(x.shape), part))
        if self._updates_bias(layer):
            made = b(QBiasGradient(), g, name=f"d_{name}.bias")
            factor = self.constant(self._factor(layer, scale * np.float64(op.x.scale)), f"{name}.bias_rate")
            self._soon(lambda: b.update(bias, b(QBiasUpdate(), bias, made, factor, name=f"{name}.bias_after")))
        if trained is not None:
            self._update_weights(layer, g, scale)

    def _update_weights(self, layer: TrainableLayer, g: Value, scale: np.ndarray) -> None:
        b, node, name, op = self.b, layer.node, layer.name, layer.node.op
        assert isinstance(op, (QConv, QLinear))
        trained, kept, rest = self._taken[node][0], self._kept[node], self._residues.get(node)
        assert trained is not None
        factor = self.constant(self._factor(layer, scale.astype(np.float64)), f"{name}.weight_rate")
        window = {**_window(op), "kernel": (trained.shape[1], trained.shape[2]), "x": op.x}
        after = f"{name}.after"
        if self.schedule == "fused":
            self._renew(trained, rest, b(QConvWeightStep(**window), trained, rest, kept, g, factor, name=after))
            return
        made = b(QConvWeightGradient(**window), kept, g, name=f"d_{name}.weight")
        self._soon(
            lambda: self._renew(trained, rest, b(QWeightUpdate(), trained, rest, made, factor, name=after))
        )

    def _renew(self, trained: Value, rest: Value | None, made: Value | tuple[Value, Value]) -> None:
        """What weights and residue become."""
        pairs = [(trained, made)] if isinstance(made, Value) else [(trained, made[0]), (rest, made[1])]
        for state, after in pairs:
            assert state is not None
            self.b.update(state, after)

    def _soon(self, update: Callable[[], None]) -> None:
        """Update a state now, or after the backward pass."""
        if self.schedule == "end":
            self._later.append(update)
        else:
            update()

    def _factor(self, layer: TrainableLayer, scale: np.ndarray) -> np.ndarray:
        """The rate of each output channel, float32 [O]; 0 for one whose weights are all 0, which is a constant."""
        w = self.graph.constant(layer.node.inputs[1])
        assert w is not None
        alive = (w != 0).reshape(len(w), -1).any(1)
        with np.errstate(divide="ignore"):
            rates = self.rate / np.square(scale) if self.scaling else np.full(len(scale), self.rate)
        return np.where(alive, rates, 0.0).astype(np.float32)
