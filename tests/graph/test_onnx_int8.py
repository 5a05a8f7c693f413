"""Integer networks leave as QDQ: each layer in ONNX Runtime is within one quantisation step of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peers import in_onnx_runtime

from netwright.graph import Builder, Graph, Quant, Type, Value, ops
from netwright.graph.onnx import to_onnx

SETTINGS = settings(
    derandomize=True, deadline=None, max_examples=100, database=None, suppress_health_check=list(HealthCheck)
)
EXACT = ("q_lookup", "q_max_pool", "reshape", "transpose", "concat", "pad")


def quant(draw: Any, low: float = 0.02, high: float = 0.08) -> Quant:
    return Quant(float(np.float32(draw(st.floats(low, high)))), draw(st.integers(-128, 127)))


def clamp(draw: Any, out: Quant) -> dict[str, int]:
    """None, a relu, or both ends."""
    return draw(st.sampled_from([{}, {"low": out.zero}, {"low": max(-128, out.zero - 20), "high": min(127, out.zero + 50)}]))


class Layers:
    """Draws layers onto a builder; weights are int8, biases int32, scales such that results fill their range."""

    def __init__(self, draw: Any, rng: np.random.Generator) -> None:
        self.draw, self.rng, self.b = draw, rng, Builder("int8")

    def weights(self, shape: tuple[int, ...], taps: int, x: Quant, out: Quant) -> tuple[Value, Value, Value]:
        b, rng = self.b, self.rng
        w = b.constant(rng.integers(-127, 128, shape).astype(np.int8), "weight")
        scale = (out.scale / x.scale / 73 / np.sqrt(taps) * rng.uniform(0.4, 1.2, shape[0])).astype(np.float32)
        bias = (rng.uniform(-30, 30, shape[0]) * out.scale / x.scale / scale).astype(np.int32)
        return w, b.constant(scale, "scale"), b.constant(bias, "bias")

    def conv(self, x: Value) -> Value:
        draw, given = self.draw, x.type.quant
        assert given is not None
        channels = x.shape[3]
        groups = draw(st.sampled_from(sorted({1, channels})))
        kernel = tuple(draw(st.integers(1, min(3, n))) for n in x.shape[1:3])
        out = quant(draw)
        count = groups * draw(st.integers(1, 3))
        stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        padding = draw(st.tuples(*[st.integers(0, 1)] * 4))
        op = ops.QConv(stride, padding, (1, 1), groups, given, out, **clamp(draw, out))
        taps = channels // groups * kernel[0] * kernel[1]
        return self.b(op, x, *self.weights((count, *kernel, channels // groups), taps, given, out))

    def pool(self, x: Value) -> Value:
        draw = self.draw
        kernel = tuple(draw(st.integers(1, min(3, n))) for n in x.shape[1:3])
        padding = tuple(draw(st.integers(0, k - 1)) for k in (*kernel, *kernel))
        op = draw(st.sampled_from([ops.QMaxPool, ops.QAveragePool]))
        return self.b(op(kernel, draw(st.tuples(st.integers(1, 2), st.integers(1, 2))), padding), x)

    def binary(self, x: Value) -> Value:
        out, given = quant(self.draw), x.type.quant
        op = self.draw(st.sampled_from([ops.QAdd, ops.QSub, ops.QMul]))
        other = self.b(ops.QLookup(quant(self.draw), "random"), x, self.table())
        return self.b(op(given, other.type.quant, out, **clamp(self.draw, out)), x, other)

    def table(self) -> Value:
        return self.b.constant(self.rng.integers(-128, 128, 256).astype(np.int8), "table")

    def requantise(self, x: Value) -> Value:
        out = quant(self.draw)
        return self.b(ops.QRequantise(x.type.quant, out, **clamp(self.draw, out)), x)

    def join(self, x: Value) -> Value:
        y = self.b(ops.Pad((0, 1, 0, 0, 0, 0, 1, 0), value=-5.0), x)
        return self.b(ops.Concat(3), y, y)

    def linear(self, x: Value) -> Value:
        flat = self.b(ops.Reshape((0, -1)), x)
        given, out = flat.type.quant, quant(self.draw)
        assert given is not None
        op = ops.QLinear(given, out, **clamp(self.draw, out))
        return self.b(op, flat, *self.weights((self.draw(st.integers(1, 6)), flat.shape[1]), flat.shape[1], given, out))


@st.composite
def int8_graphs(draw: Any) -> tuple[Graph, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    layers = Layers(draw, rng)
    shape = (draw(st.integers(1, 2)), draw(st.integers(3, 8)), draw(st.integers(3, 8)), draw(st.integers(1, 4)))
    x = layers.b.input("x", Type(shape, "int8", quant(draw)))
    for _ in range(draw(st.integers(1, 5))):
        kinds = (layers.conv, layers.conv, layers.pool, layers.binary, layers.requantise, layers.join)
        x = draw(st.sampled_from(kinds))(x)
    layers.b.output(layers.linear(x))
    return layers.b.graph(), rng.integers(-128, 128, shape).astype(np.int8)


def alone(graph: Graph, index: int) -> Graph:
    """One node of a graph, its computed operands as inputs."""
    node = graph.nodes[index]
    b = Builder("layer", graph.store)
    made: dict[Value, Value] = {}
    for i, value in enumerate(dict.fromkeys(v for v in node.inputs if v is not None)):
        constant = graph.constant(value)
        made[value] = b.input(f"x{i}", value.type) if constant is None else b.constant(constant, value.name)
    b.output(b(node.op, *(made[v] if v is not None else None for v in node.inputs)))
    return b.graph()


@SETTINGS
@given(int8_graphs())
def test_every_layer_is_within_one_step_and_moves_are_exact(drawn: tuple[Graph, np.ndarray]) -> None:
    graph, x = drawn
    values = graph.runner().trace(x)
    for index, node in enumerate(graph.nodes):
        inputs = [values[v] for v in dict.fromkeys(node.inputs) if v is not None and v not in graph.param_of]
        (theirs,) = in_onnx_runtime(alone(graph, index), inputs)
        apart = np.abs(theirs.astype(int) - values[node.output].astype(int)).max()
        assert theirs.dtype == np.int8
        assert apart <= (0 if node.op.name in EXACT else 1), f"{node!r} is {apart} steps apart"


@SETTINGS
@given(int8_graphs())
def test_whole_models_are_valid_and_run(drawn: tuple[Graph, np.ndarray]) -> None:
    graph, x = drawn
    model = to_onnx(graph)
    onnx.checker.check_model(model, full_check=True)
    assert {n.op_type for n in model.graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    (theirs,), (ours,) = in_onnx_runtime(graph, [x]), graph.run(x)
    assert theirs.shape == ours.shape and theirs.dtype == ours.dtype == np.int8
