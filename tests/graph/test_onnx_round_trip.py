"""Out as ONNX and in again: every op case and trained-like networks give the same outputs."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_backend import difference
from op_cases import CASES, Case
from peers import single

from netwright.graph import Builder, Graph, Init, Type, ops
from netwright.graph.onnx import from_onnx, to_onnx


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_op_comes_back_with_the_same_meaning(case: Case) -> None:
    graph = single(case.op, case.inputs, case.quants)
    arrays = [x for x in case.inputs if x is not None]
    for opset in (17, 21):
        try:
            proto = to_onnx(graph, opset=opset)
        except ValueError as error:
            pytest.skip(str(error))
        again = from_onnx(proto)
        assert [v.name for v in again.inputs] == [v.name for v in graph.inputs]
        ours, theirs = again.run(*arrays), graph.run(*arrays)
        if case.steps is None:
            assert not difference(ours, theirs)
        else:
            assert np.abs(ours[0].astype(int) - theirs[0].astype(int)).max() <= case.steps


def network(seed: int) -> Graph:
    b = Builder("net")
    x = b.input("x", Type((1, 3, 16, 16)))
    for index, (channels, stride) in enumerate([(8, 2), (8, 1), (16, 2)]):
        with b.scope(f"block{index}"):
            w = b.param("weight", (channels, x.shape[1], 3, 3))
            y = b(ops.Conv((stride, stride), (1, 1, 1, 1)), x, w, b.param("bias", (channels,)), name="conv")
            statistics = [b.param(n, (channels,), trainable=n in ("scale", "shift")) for n in ("scale", "shift", "mean")]
            variance = b.param("variance", (channels,), init=Init("constant"), trainable=False)
            y = b(ops.BatchNorm(), y, *statistics, variance, name="norm")
            y = b(ops.Relu6(), y, name="act")
            x = b(ops.Add(), x, y, name="sum") if x.shape == y.shape else y
    flat = b(ops.Reshape((0, -1)), b(ops.GlobalAveragePool(), x, name="pool"), name="flat")
    b.output(b(ops.Linear(), flat, b.param("head.weight", (10, 16)), b.param("head.bias", (10,)), name="head"))
    graph = b.graph()
    return graph.with_store(graph.store.initialise(graph, seed))


def test_a_network_comes_back_node_for_node() -> None:
    graph = network(0)
    again = from_onnx(to_onnx(graph))
    assert [p.value.name for p in again.params] == [p.value.name for p in graph.params]
    assert [p.trainable for p in again.params] == [p.trainable for p in graph.params]
    renamed = {"relu6": "clip"}
    assert [n.op.name for n in again.nodes] == [renamed.get(n.op.name, n.op.name) for n in graph.nodes]
    assert [n.name for n in again.nodes] == [n.name for n in graph.nodes]
    x = np.random.default_rng(1).standard_normal((5, 3, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(again.run(x)[0], graph.run(x)[0], rtol=1e-5, atol=1e-5)  # a batch of five too


def test_twice_round_is_once_round() -> None:
    first = from_onnx(to_onnx(network(2)))
    again = from_onnx(to_onnx(first))
    assert again.structure_hash == first.structure_hash
    assert again.content_hash == first.content_hash
