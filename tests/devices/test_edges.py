"""Convolutions with biases, shifts and widths at the edges of what their packed constants hold; sums of all scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netwright import devices
from netwright.devices.c.choice import is_plain_sum, kernel
from netwright.graph import Builder, Graph, Quant, Type
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.elementwise import QAdd

DEVICES = ("host", "cortex-m4", "cortex-m0plus")


def convolution(seed: int) -> Graph:
    """Biases of up to 31 bits, scales up to 2 and outputs of weight zero among ordinary ones."""
    rng = np.random.default_rng(seed)
    c, o, k = int(rng.integers(1, 9)), int(rng.integers(1, 8)), int(rng.choice((1, 3)))
    x, out = Quant(0.05, int(rng.integers(-128, 128))), Quant(0.04, int(rng.integers(-128, 128)))
    b = Builder("edge")
    given = b.input("x", Type((1, 5, 3, c), "int8", x))
    w = b.param("w", (o, k, k, c), dtype="int8", init=None, trainable=False)
    s = b.param("s", (o,), init=None, trainable=False)
    bias = b.param("b", (o,), dtype="int32", init=None, trainable=False)
    b.store["w"] = rng.integers(-127, 128, w.shape).astype(np.int8)
    b.store["w"][rng.random(o) < 0.2] = 0
    bits = rng.integers(4, 31, o)
    b.store["b"] = (rng.choice((-1, 1), o) * rng.integers(1 << (bits - 1), 1 << bits)).astype(np.int32)
    edges = rng.choice((-(1 << 23) - 1, -(1 << 23), (1 << 23) - 1, 1 << 23), o)
    b.store["b"] = np.where(rng.random(o) < 0.3, edges, b.store["b"]).astype(np.int32)
    # a scale under which the bias stays in reach of int8, or an ordinary one where 32 bits hold the result
    reach = 90 * out.scale / x.scale / np.abs(b.store["b"].astype(float)) * rng.uniform(0.2, 1, o)
    ordinary = (rng.random(o) < 0.3) & (np.abs(b.store["b"]) < 1 << 24)
    b.store["s"] = np.where(~ordinary, reach, rng.choice((0.003, 0.9, 1.6), o)).astype(np.float32)
    b.output(b(QConv((1, 1), (k // 2,) * 4, (1, 1), 1, x, out), given, w, s, bias))
    return b.graph()


def addition(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    x, y, out = (Quant(float(2.0 ** rng.uniform(-9, 3)), int(rng.integers(-128, 128))) for _ in range(3))
    if seed % 4 == 0:
        y = Quant(x.scale, y.zero)
    b = Builder("edge")
    size = (1, 2, 128, 2)
    low, high = ((-128, 127), (out.zero, 127), (-100, 60))[seed % 3]
    b.output(b(QAdd(x, y, out, low, high), b.input("x", Type(size, "int8", x)), b.input("y", Type(size, "int8", y))))
    return b.graph()


def fully_connected(seed: int) -> Graph:
    """Scales from 2^-24 to nearly 1, alike for all outputs or not."""
    rng = np.random.default_rng(seed)
    i, o = int(rng.integers(1, 40)), int(rng.integers(1, 12))
    x, out = Quant(1.0, int(rng.integers(-128, 128))), Quant(1.0, int(rng.integers(-128, 128)))
    b = Builder("edge")
    given = b.input("x", Type((1, i), "int8", x))
    w = b.param("w", (o, i), dtype="int8", init=None, trainable=False)
    s = b.param("s", (o,), init=None, trainable=False)
    bias = b.param("b", (o,), dtype="int32", init=None, trainable=False)
    b.store["w"] = rng.integers(-127, 128, w.shape).astype(np.int8)
    exponents = rng.uniform(-24, -0.05, 1 if seed % 3 == 0 else o)
    b.store["s"] = np.broadcast_to(2.0**exponents, (o,)).astype(np.float32)
    reach = np.minimum(90 / b.store["s"].astype(float), 1 << 29)
    b.store["b"] = (rng.uniform(-1, 1, o) * reach).astype(np.int32)
    b.output(b(QLinear(x, out), given, w, s, bias))
    return b.graph()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", [convolution, addition, fully_connected])
def test_edges_are_byte_equal(kind: object, device: str, tmp_path: Path) -> None:
    plain = wide = 0
    for seed in range(24):
        graph = kind(seed)  # type: ignore[operator]
        rng = np.random.default_rng(seed)
        arrays = [rng.integers(-128, 128, (4, *v.shape[1:])).astype(np.int8) for v in graph.inputs]
        program = devices.get(device).compile(graph, out=tmp_path / str(seed))
        np.testing.assert_array_equal(program.run(*arrays)[0], graph.run(*arrays)[0])
        if device != "host" and kernel(graph.nodes[0]) is not None:
            cost, counted = devices.get(device).cost(graph), program.profile()
            assert cost.ram_bytes["arena"] == counted.ram_bytes["arena"]
        if kind is addition:
            plain += is_plain_sum(graph.nodes[0])
        elif kind is convolution:
            wide += int((np.abs(graph.store["b"].astype(np.int64)) > 1 << 23).sum())
    assert kind is fully_connected or max(plain, wide) >= 12


@pytest.mark.parametrize("width", [5, 6])
def test_a_depthwise_layer_whose_rows_become_shorter_may_lie_over_its_input(width: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(width)
    b = Builder("narrow")
    given = b.input("x", Type((1, 6, 6, 8), "int8", Quant(0.05, 3)))
    w = b.param("w", (8, 3, 3, 1), dtype="int8", init=None, trainable=False)
    s = b.param("s", (8,), init=None, trainable=False)
    bias = b.param("b", (8,), dtype="int32", init=None, trainable=False)
    b.store["w"] = rng.integers(-127, 128, w.shape).astype(np.int8)
    b.store["s"], b.store["b"] = np.full(8, 0.004, np.float32), rng.integers(-900, 900, 8).astype(np.int32)
    op = QConv((1, 1), (1, 1, 1, width - 5), (1, 1), 8, Quant(0.05, 3), Quant(0.04, -5))
    b.output(b(op, given, w, s, bias))
    graph = b.graph()
    assert graph.nodes[0].output.shape == (1, 6, width, 8)
    x = rng.integers(-128, 128, (4, 6, 6, 8)).astype(np.int8)
    program = devices.get("cortex-m4").compile(graph, out=tmp_path)
    np.testing.assert_array_equal(program.run(x)[0], graph.run(x)[0])


def test_of_the_constants_of_a_convolution_only_large_biases_take_more() -> None:
    from netwright.devices.c.choice import stream_bytes
    from netwright.devices.c.emitters.layers import stream

    weights = np.ones((5, 3, 3, 2), np.int8)
    small, multiplier, down = np.full(5, 99), np.full(5, 1 << 30), np.full(5, 7)
    assert len(stream(weights, 0, small, multiplier, down)) == stream_bytes(weights.shape)
    large = np.array([99, 1 << 23, -(1 << 23), 99, -(1 << 23) - 1])
    assert len(stream(weights, 0, large, multiplier, down)) == stream_bytes(weights.shape) + 8
