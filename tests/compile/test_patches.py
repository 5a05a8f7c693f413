"""Bands of rows give the bytes that whole layers give, in NumPy, in C and on the emulated core, in less memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netwright
from netwright import devices
from netwright.compile import patch_choice, patches
from netwright.compile.patches import Stage
from netwright.devices.c import planned
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Quant, Type, Value
from netwright.graph.ops.int8.conv import QConv
from netwright.graph.ops.int8.elementwise import QAdd
from netwright.graph.ops.int8.pool import QMaxPool

Q = Quant(0.05, 3)


def conv(b: Builder, rng: np.random.Generator, x: Value, outputs: int, kernel: int, stride: int, depthwise: bool) -> Value:
    channels = x.shape[3]
    outputs = channels if depthwise else outputs
    w = b.param("w", (outputs, kernel, kernel, 1 if depthwise else channels), dtype="int8", init=None, trainable=False)
    s = b.param("s", (outputs,), init=None, trainable=False)
    bias = b.param("b", (outputs,), dtype="int32", init=None, trainable=False)
    b.store[w.name] = rng.integers(-127, 128, w.shape).astype(np.int8)
    b.store[s.name] = rng.uniform(0.001, 0.01, outputs).astype(np.float32)
    b.store[bias.name] = rng.integers(-900, 900, outputs).astype(np.int32)
    top, left, bottom, right = (int(n) for n in rng.integers(0, kernel // 2 + 1, 4))
    return b(QConv((stride, stride), (top, left, bottom, right), (1, 1), channels if depthwise else 1, Q, Q), x, w, s, bias)


def network(seed: int) -> Graph:
    """A few layers of random kernels, strides, paddings and odd sizes, residual sums among them."""
    rng = np.random.default_rng(seed)
    b = Builder("net")
    x = b.input("x", Type((1, int(rng.integers(14, 25)), int(rng.integers(12, 20)), int(rng.integers(1, 5))), "int8", Q))
    for _ in range(int(rng.integers(3, 7))):
        kind = rng.random()
        kernel = int(rng.choice((1, 3, 5, 7)))
        if min(x.shape[1:3]) < 9:
            kernel = int(rng.choice((1, 3)))
        if kind < 0.3:
            w = b.param("w", (x.shape[3], 1, 1, x.shape[3]), dtype="int8", init=None, trainable=False)
            s = b.param("s", (x.shape[3],), init=None, trainable=False)
            bias = b.param("b", (x.shape[3],), dtype="int32", init=None, trainable=False)
            b.store[w.name] = rng.integers(-127, 128, w.shape).astype(np.int8)
            b.store[s.name], b.store[bias.name] = np.full(x.shape[3], 0.004, np.float32), np.zeros(x.shape[3], np.int32)
            y = b(QConv(x=Q, out=Q), x, w, s, bias)
            x = b(QAdd(Q, Q, Q), y, x)
        elif kind < 0.4 and min(x.shape[1:3]) >= 8:
            x = b(QMaxPool((2, 2), (2, 2)), x)
        elif min(x.shape[1:3]) > kernel + 1:
            stride = 2 if rng.random() < 0.3 and x.shape[1] >= 8 else 1
            x = conv(b, rng, x, int(rng.integers(2, 9)), kernel, stride, rng.random() < 0.4)
    b.output(x)
    return b.graph()


@pytest.mark.parametrize("seed", range(100))
def test_bands_are_byte_equal(seed: int) -> None:
    graph = network(seed)
    x = np.random.default_rng(seed).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    places = patches.cuts(graph)
    last = places[-1] if places[-1] else len(graph.nodes)
    bands = min(2 + seed % 4, graph.nodes[last - 1].output.shape[1])
    banded = patches.apply(graph, (Stage(0, last - 1, bands),))
    assert len(banded.nodes) > len(graph.nodes)
    np.testing.assert_array_equal(banded.run(x)[0], graph.run(x)[0])


@pytest.mark.parametrize("seed", [3, 8, 21])
@pytest.mark.parametrize("device", ["host", "cortex-m4", "cortex-m0plus"])
def test_compiled_bands_are_byte_equal(seed: int, device: str, tmp_path: Path) -> None:
    graph = network(seed)
    last = patches.cuts(graph)[-1]
    x = np.random.default_rng(seed).integers(-128, 128, (3, *graph.inputs[0].shape[1:])).astype(np.int8)
    chosen = devices.get(device, ram="64KB") if device != "host" else devices.get(device)
    for place in ("arena", "outside"):
        options = {"patches": f"0-{last - 1}:3", "input": place}
        program = chosen.compile(graph, options, out=tmp_path / place)
        np.testing.assert_array_equal(program.run(x)[0], graph.run(x)[0])
        if device != "host":
            arena = program.profile(x[:1]).ram_bytes["arena"]
            assert arena == chosen.cost(graph, options).ram_bytes["arena"]


@pytest.mark.parametrize("seed", [1, 14, 25])
def test_the_chosen_schedule_has_the_fewest_macs_that_fit(seed: int) -> None:
    graph = network(seed)
    free = planned(graph).bytes
    places = patches.cuts(graph)
    every = [
        (Stage(0, last - 1, bands),)
        for last in places[1:]
        for bands in range(2, min(patch_choice.MOST_BANDS, graph.nodes[last - 1].output.shape[1]) + 1)
    ]
    plans = [(planned(g).bytes, g.macs) for g in (patches.apply(graph, s) for s in every)]
    assert patch_choice.choose(graph, free, planned) == ()
    limits = sorted({size for size, _ in plans if size < free})
    assert limits
    for limit in limits:
        made = patches.apply(graph, patch_choice.choose(graph, limit, planned))
        assert planned(made).bytes <= limit
        assert made.macs <= min(macs for size, macs in plans if size <= limit)


def test_mcunet_in_patches_takes_half_of_the_memory(shared_data: Path) -> None:
    graph = netwright.load(shared_data / "mcunet-models" / "mcunet_vww1.tflite")
    device = devices.get("cortex-m4", ram="40KB", flash="1MB")
    whole, banded = (device.cost(graph, {"patches": p, "input": "outside"}) for p in ("none", "auto"))
    assert whole.ram_bytes["arena"] > 2 * banded.ram_bytes["arena"]
    assert banded.macs <= 1.05 * whole.macs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0-1", "FIRST-LAST:BANDS"),
        ("3-1:2", "FIRST-LAST:BANDS"),
        ("0-1:500", "bands cannot tile"),
        ("0-99:2", "no layer 99"),
        ("0-1:2,1-2:2", "overlap"),
    ],
)
def test_schedules_that_cannot_be_are_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        patches.apply(network(8), patches.parse_stages(text))


def test_a_layer_with_rows_of_padding_only_is_left_whole() -> None:
    b, rng = Builder("net"), np.random.default_rng(0)
    x = conv(b, rng, b.input("x", Type((1, 8, 8, 4), "int8", Q)), 4, 3, 1, False)
    w, s = b.param("last.w", (6, 1, 1, 4), dtype="int8", init=None), b.param("last.s", (6,), init=None)
    bias = b.param("last.b", (6,), dtype="int32", init=None)
    b.store["last.w"], b.store["last.s"] = np.ones((6, 1, 1, 4), np.int8), np.full(6, 0.01, np.float32)
    b.store["last.b"] = np.zeros(6, np.int32)
    b.output(b(QConv((1, 1), (2, 0, 2, 0), (1, 1), 1, x.type.quant, Q), x, w, s, bias))
    graph = b.graph()
    with pytest.raises(UserError, match="does not work row by row"):
        patches.apply(graph, (Stage(0, 1, 4),))
    banded = patches.apply(graph, patch_choice.choose(graph, 0, planned))
    data = rng.integers(-128, 128, (1, 8, 8, 4)).astype(np.int8)
    np.testing.assert_array_equal(banded.run(data)[0], graph.run(data)[0])


def test_a_network_that_does_not_work_by_rows_says_so() -> None:
    b = Builder("net")
    x = b.input("x", Type((1, 8, 8, 2), "int8", Q))
    y = b(QAdd(Q, Q, Q), x, x)
    b.output(y, b(QAdd(Q, Q, Q), y, x))
    with pytest.raises(UserError, match="one tensor must enter and one leave"):
        patches.apply(b.graph(), (Stage(0, 1, 2),))
