"""Passes leave what a network computes alone."""

from __future__ import annotations

import numpy as np
import pytest
from peers import assert_close

from netwright.compile import batchnorm, constants, dead
from netwright.graph import Builder, Graph, Op, Type, Value, ops

RNG = np.random.default_rng(0)


def with_norm(layer: Op, x: tuple[int, ...], w: tuple[int, ...], bias: bool, channels: int) -> Graph:
    b = Builder("net")
    operands = [b.input("x", Type(x)), b.param("layer.weight", w)]
    if bias:
        operands.append(b.param("layer.bias", (channels,)))
    y = b(layer, *operands, name="layer")
    norm = [b.param(f"norm.{n}", (channels,), trainable=n in ("scale", "bias")) for n in ("scale", "bias", "mean", "variance")]
    b.output(b(ops.Relu(), b(ops.BatchNorm(1e-3), y, *norm, name="norm")))
    graph = b.graph()
    for param in graph.params:
        graph.store[param.tensor] = RNG.uniform(0.3, 1.5, param.value.shape).astype("f") - (0.9 if param.value.name != "norm.variance" else 0)
    return graph


LAYERS = [
    (ops.Conv((2, 1), (1, 1, 1, 1)), (2, 4, 7, 7), (6, 4, 3, 3), 6),
    (ops.Conv(groups=4, padding=(1, 1, 1, 1)), (2, 4, 7, 7), (8, 1, 3, 3), 8),
    (ops.Conv((2,)), (2, 4, 9), (5, 4, 3), 5),
    (ops.ConvTranspose((2, 2), (1, 1, 1, 1)), (2, 4, 5, 5), (4, 6, 3, 3), 6),
    (ops.ConvTranspose((2, 2), groups=2), (2, 4, 5, 5), (4, 3, 3, 3), 6),
    (ops.Linear(), (3, 7), (5, 7), 5),
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("layer", "x", "w", "channels"), LAYERS, ids=lambda v: str(v))
def test_folded_batch_norm_computes_the_same(layer: Op, x: tuple[int, ...], w: tuple[int, ...], channels: int, bias: bool) -> None:
    graph = with_norm(layer, x, w, bias, channels)
    folded = batchnorm.fold(graph)
    assert [n.op.name for n in folded.nodes] == [layer.name, "relu"]
    assert len(folded.params) == 2
    array = RNG.standard_normal(x).astype("f")
    assert_close(folded.run(array), graph.run(array), 1e-5)


def test_folding_needs_no_contents() -> None:
    graph = with_norm(*LAYERS[0][:3], True, 6)
    bare = graph.with_store(type(graph.store)())
    assert batchnorm.fold(bare).structure_hash == batchnorm.fold(graph).structure_hash


@pytest.mark.parametrize("kind", ["read twice", "an output", "rank 3 linear", "shared weights", "computed weights", "a state"])
def test_batch_norm_that_cannot_be_folded_stays_right(kind: str) -> None:
    b = Builder("net")
    norm = [b.param(n, (4,)) for n in ("scale", "bias", "mean", "variance")]
    if kind == "rank 3 linear":
        x = b.input("x", Type((2, 4, 4)))
        y = b(ops.Linear(), x, b.param("w", (4, 4)))
    else:
        x = b.input("x", Type((2, 4, 5, 5)))
        w = b.param("w", (4, 4, 1, 1))
        y = b(ops.Conv(), x, w)
    if kind == "computed weights":
        y = b(ops.Conv(), x, b(ops.Tanh(), w))
    z = b(ops.BatchNorm(), y, *norm)
    if kind == "a state":
        b.update(b.state("before", y.type), y)
    if kind == "read twice":
        z = b(ops.Add(), y, z)
    if kind == "an output":
        b.output(y)
    if kind == "shared weights":
        z = b(ops.Conv(), z, w)
    b.output(z)
    graph = b.graph()
    for param in graph.params:
        graph.store[param.tensor] = RNG.uniform(0.5, 1.5, param.value.shape).astype("f")
    array = RNG.standard_normal(x.shape).astype("f")
    assert_close(batchnorm.fold(graph).run(array), graph.run(array), 1e-5)


def branchy() -> tuple[Builder, Value]:
    b = Builder("net")
    x = b.input("x", Type((1, 4)))
    b(ops.Linear(), x, b.param("unused", (9, 4)))
    return b, x


def test_dead_code_and_its_parameters_go_and_states_stay() -> None:
    b, x = branchy()
    state = b.state("s", Type((1, 4)))
    b.update(state, b(ops.Add(), b(ops.Tanh(), state), x))
    b.output(b(ops.Relu(), x))
    graph = dead.eliminate(b.graph())
    assert [n.op.name for n in graph.nodes] == ["tanh", "add", "relu"]
    assert not graph.params and len(graph.states) == 1
    assert dead.eliminate(graph) is graph


def test_one_live_result_of_a_split_keeps_it() -> None:
    b, x = branchy()
    parts = b(ops.Split(1, (1, 3)), x)
    b.output(parts[1])  # type: ignore[index]
    assert [n.op.name for n in dead.eliminate(b.graph()).nodes] == ["split"]


def test_constant_folding_evaluates_what_is_known_and_leaves_trainable_parameters() -> None:
    b = Builder("net")
    x = b.input("x", Type((1, 4)))
    table = b.constant(np.arange(8, dtype="f").reshape(2, 4), "table")
    parts = b(ops.Split(0, (1, 1)), b(ops.Mul(), table, b.constant(2.0)))
    trained = b(ops.Neg(), b.param("w", (1, 4)))
    b.output(b(ops.Add(), b(ops.Add(), x, parts[1]), trained))  # type: ignore[index]
    graph = b.graph()
    graph = graph.with_store(graph.store.initialise(graph))
    folded = constants.fold(graph)
    assert [n.op.name for n in folded.nodes] == ["neg", "add", "add"]
    assert constants.fold(folded) is folded
    array = RNG.standard_normal((1, 4)).astype("f")
    assert_close(folded.run(array), graph.run(array), 0.0)


def test_constant_folding_keeps_the_type_of_what_it_folds() -> None:
    b = Builder("net")
    wide = b.constant(np.linspace(0, 1, 20), "wide", "float64")
    b.output(b(ops.Mul(), b.input("x", Type((20,), "float64")), b(ops.Exp(), wide)))
    folded = constants.fold(b.graph())
    assert [p.value.dtype for p in folded.params] == ["float64"]
    np.testing.assert_allclose(folded.run(np.ones(20))[0], np.exp(np.linspace(0, 1, 20)))
