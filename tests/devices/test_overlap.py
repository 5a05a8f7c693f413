"""How far apart a result and its dying input must lie: against every read and write of small layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netwright.compile import pads
from netwright.devices.c import planned
from netwright.devices.c.overlap import overlap
from netwright.graph import Builder, Graph, Quant, Type
from netwright.graph.ops import OPS

Q = Quant(0.1, 0)
sizes = st.integers(1, 7)


def layer(name: str, x: tuple[int, ...], outputs: int, kernel: tuple[int, int], **options: object) -> Graph:
    b = Builder("layer")
    value = b.input("x", Type(x, "int8", Q))
    if name == "q_conv":
        w = b.param("w", (outputs, *kernel, x[3]), dtype="int8", init=None)
        ends = (b.param("s", (outputs,)), b.param("b", (outputs,), dtype="int32"))
        b.output(b(OPS[name](x=Q, out=Q, **options), value, w, *ends))
    else:
        b.output(b(OPS[name](kernel=kernel, **options), value))
    return b.graph()


def needed(graph: Graph, kernel: tuple[int, int], turned: bool, channelwise: bool = False) -> int:
    """The least distance from one begin to the other at which no byte is written before its last read.

    Forward: result before input; turned round: result behind input. A convolution has read a pixel's window when it
    writes the pixel, a pool (`channelwise`) one channel of it.
    """
    node = graph.nodes[0]
    op = node.op
    (_, h, w, c), (_, oh, ow, o) = graph.inputs[0].shape, node.output.shape
    (sh, sw), (top, left) = op.stride, op.padding[:2]  # type: ignore[attr-defined]
    dh, dw = getattr(op, "dilation", (1, 1))
    reads = []
    for oy in range(oh):
        for ox in range(ow):
            rows = [r for k in range(kernel[0]) if 0 <= (r := oy * sh - top + k * dh) < h]
            columns = [r for k in range(kernel[1]) if 0 <= (r := ox * sw - left + k * dw) < w]
            reads.append([(r * w + q) * c for r in rows for q in columns])
    order = range(len(reads))[:: -1 if turned else 1]
    worst = 0
    for done, p in enumerate(order):
        later = [at for q in list(order)[done + 1 :] for at in reads[q]]
        if channelwise:
            for channel in range(o):
                pending = [at + k for at in reads[p] for k in range(channel + 1, c)] + later
                if pending:
                    worst = max(worst, p * o + channel + 1 - min(pending))
            continue
        if not later:
            continue
        if turned:  # all from p * o on is written: what is still to be read must end before
            worst = max(worst, max(later) + c - p * o)
        else:
            worst = max(worst, (p + 1) * o - min(later))
    return max(0, worst)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.tuples(sizes, sizes, st.integers(1, 5)),
    st.integers(1, 6),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*(st.integers(0, 2) for _ in range(4))),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_a_convolution_may_write_as_close_as_its_reads_allow(
    x: tuple[int, int, int],
    outputs: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, ...],
    dilation: tuple[int, int],
) -> None:
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    assume(all(n + padding[i] + padding[i + 2] >= reach[i] for i, n in enumerate(x[:2])))
    graph = layer("q_conv", (1, *x), outputs, kernel, stride=stride, padding=padding, dilation=dilation)
    found = overlap(graph.nodes[0])
    assert found is not None and found.forward is not None and found.backward is not None
    assert found.forward >= needed(graph, kernel, turned=False)
    assert found.backward >= needed(graph, kernel, turned=True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.tuples(sizes, sizes, st.integers(1, 5)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 1),
)
def test_a_pool_may_write_as_close_as_its_reads_allow(x: tuple[int, int, int], k: int, stride: int, pad: int) -> None:
    assume(min(x[:2]) + 2 * pad >= k and pad < k)
    graph = layer("q_max_pool", (1, *x), 0, (k, k), stride=(stride, stride), padding=(pad,) * 4)
    found = overlap(graph.nodes[0])
    assert found is not None and found.forward is not None
    assert found.forward >= needed(graph, (k, k), turned=False, channelwise=True)


def test_the_distance_is_no_larger_than_it_has_to_be() -> None:
    graph = layer("q_conv", (1, 20, 20, 8), 8, (3, 3), padding=(1, 1, 1, 1))
    found = overlap(graph.nodes[0])
    assert found is not None and found.forward == needed(graph, (3, 3), turned=False) == 8 * (20 + 1)
    plan = planned(graph)
    assert plan.bytes == plan.live(0) == 20 * 20 * 8 + 8 * 21 + 4 * 3 * 3 * 8 + 36


@pytest.mark.parametrize("value", [0, 3])
def test_padding_with_the_zero_point_becomes_the_convolution_s_own(value: int) -> None:
    b = Builder("padded")
    x = b.input("x", Type((1, 5, 6, 2), "int8", Q))
    y = b(OPS["pad"]((0, 1, 0, 0, 0, 2, 1, 0), value=value), x)
    w = b.param("w", (3, 2, 2, 2), dtype="int8", init=None)
    s, bias = b.param("s", (3,), init=None), b.param("b", (3,), dtype="int32", init=None)
    b.output(b(OPS["q_conv"](x=Q, out=Q), y, w, s, bias))
    rng = np.random.default_rng(0)
    b.store["w"] = rng.integers(-9, 9, (3, 2, 2, 2)).astype(np.int8)
    b.store["s"], b.store["b"] = np.full(3, 0.1, np.float32), np.zeros(3, np.int32)
    graph = b.graph()
    folded = pads.fold(graph)
    data = rng.integers(-20, 20, (1, 5, 6, 2)).astype(np.int8)
    assert len(folded.nodes) == (2 if value else 1)
    assert np.array_equal(folded.run(data)[0], graph.run(data)[0])
