"""Lowering to int8: near the float network, channels last, one structure with and without weights."""

from __future__ import annotations

import numpy as np
import pytest

from netwright import spaces
from netwright.compile import fake_quantise, int8
from netwright.compress import integer_inputs, layer_errors, observe, quantise
from netwright.compress.quantise import prepared
from netwright.errors import UserError
from netwright.graph import OPS, Builder, Graph, Type


def with_weights(graph: Graph, seed: int = 0) -> Graph:
    return graph.with_store(graph.store.initialise(graph, seed))


def logits(graph: Graph, quantised: Graph, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float logits, and those of the int8 network as reals, both as the int8 network lays them out."""
    (codes,) = quantised.run(*integer_inputs(graph, quantised, x))
    quant = quantised.outputs[0].type.quant
    assert quant is not None
    order = int8.places(prepared(graph))[graph.outputs[0].name].order
    real = graph.run(x)[0]
    return real.transpose(order) if order else real, (codes.astype(float) - quant.zero) * quant.scale


@pytest.mark.parametrize(
    "name, shape",
    [
        ("conv-small", (1, 3, 12, 12)),
        ("conv-small", (1, 4, 20)),
        ("ds-cnn", (1, 1, 20, 10)),
        ("mobilenet", (1, 3, 32, 32)),
        ("mlp", (1, 17)),
        ("vit", (1, 3, 17, 20)),
        ("vit", (1, 2, 50)),
    ],
)
def test_every_built_in_space_lowers_and_stays_near_its_float_network(name: str, shape: tuple[int, ...]) -> None:
    space = spaces.get(name)
    rng = np.random.default_rng(0)
    for _ in range(4):
        graph = with_weights(space.build(space.sample(rng), Type(shape), Type((1, 7))).graph)
        x = rng.standard_normal((32, *graph.inputs[0].shape[1:])).astype(np.float32)
        real, near = logits(graph, quantise(graph, x), x)
        assert np.abs(real - near).mean() < 0.12 * np.abs(real).max() + 1e-3


@pytest.mark.parametrize("name", ["conv-small", "ds-cnn", "mobilenet", "vit"])
def test_the_structure_without_weights_is_the_structure_with_them(name: str) -> None:
    space = spaces.get(name)
    rng = np.random.default_rng(1)
    for _ in range(5):
        graph = space.build(space.sample(rng), Type((1, 3, 24, 24)), Type((1, 5))).graph
        bare = int8.lower(graph)
        full = quantise(with_weights(graph), rng.standard_normal((2, *graph.inputs[0].shape[1:])).astype(np.float32))
        assert [(n.op.name, n.output.shape) for n in bare.nodes] == [(n.op.name, n.output.shape) for n in full.nodes]


def test_batch_norm_and_relu_leave_no_node_of_their_own() -> None:
    space = spaces.get("conv-small")
    graph = space.build(space.sample(np.random.default_rng(0)), Type((1, 1, 8, 8)), Type((1, 10))).graph
    names = {n.op.name for n in int8.lower(graph).nodes}
    assert names <= {"q_conv", "q_linear", "q_max_pool", "q_average_pool", "reshape"}


def test_an_op_without_an_int8_form_is_refused_by_name() -> None:
    b = Builder("net")
    x = b.input("x", Type((1, 3, 4)))
    b.output(b(OPS["cast"]("int32"), x, name="odd.one"))
    with pytest.raises(UserError, match=r"odd\.one: cast has no int8 form"):
        int8.lower(b.graph())


def test_a_transposed_convolution_that_has_no_int8_form_is_refused_by_name() -> None:
    b = Builder("net")
    x = b.input("x", Type((1, 4, 5, 5)))
    b.output(b(OPS["conv_transpose"](dilation=(2, 2)), x, b.param("w", (4, 3, 3, 3)), name="odd.one"))
    with pytest.raises(UserError, match=r"odd\.one: int8 conv_transpose has no dilation"):
        int8.lower(b.graph())


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("kind", ["softmax", "reduce_mean", "reduce_max", "conv_transpose"])
def test_what_classifiers_end_in_stays_near_its_float_network(kind: str, rank: int) -> None:
    rng = np.random.default_rng(0)
    space = rank - 2
    b = Builder("net")
    x = b.input("x", Type((1, 4, 7, 6)[: rank - 1] + (5,)))
    if kind == "conv_transpose":
        op = OPS["conv_transpose"]((2,) * space, (1, 0) * space, output_padding=(1,) * space)
        y = b(op, x, b.param("w", (4, 3, *[3] * space)), b.param("b", (3,)))
    else:
        y = b(OPS[kind]() if kind == "softmax" else OPS[kind](tuple(range(2, rank)), False), x)
    b.output(y)
    graph = with_weights(b.graph())
    data = rng.standard_normal((16, *x.shape[1:])).astype(np.float32)
    real, near = logits(graph, quantise(graph, data), data)
    assert real.shape == near.shape
    assert np.abs(real - near).max() < 0.03 * np.abs(real).max()


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_arg_max_finds_the_same_place_along_every_axis(axis: int, keepdims: bool) -> None:
    b = Builder("net")
    x = b.input("x", Type((1, 3, 4, 5)))
    b.output(b(OPS["arg_max"](axis, keepdims), x))
    graph = b.graph()
    data = np.random.default_rng(0).permutation(60).reshape(1, 3, 4, 5).astype(np.float32)
    quantised = quantise(graph, data)
    codes = OPS["quantise"](quantised.inputs[0].type.quant).numpy(np.ascontiguousarray(np.moveaxis(data, 1, -1)))
    (found,), (expected,) = quantised.run(codes), graph.run(data)
    found = np.moveaxis(found, -1, 1) if keepdims else found
    assert found.dtype == np.int32 and np.array_equal(found, expected)


def test_a_value_that_calibration_never_reached_is_named() -> None:
    b = Builder("net")
    x = b.input("x", Type((1, 4)))
    b.output(b(OPS["relu"](), x))
    with pytest.raises(UserError, match="x: no range was observed"):
        int8.lower(b.graph(), {})


def test_layer_errors_name_the_worst_layer_first() -> None:
    space = spaces.get("conv-small")
    graph = with_weights(space.build(space.sample(np.random.default_rng(3)), Type((1, 1, 12, 12)), Type((1, 10))).graph)
    x = np.random.default_rng(0).standard_normal((16, 1, 12, 12)).astype(np.float32)
    errors = layer_errors(graph, quantise(graph, x), x)
    values = [e for _, e in errors]
    assert values == sorted(values) and min(values) > 15  # dB


def test_percentile_ranges_are_inside_min_max_ranges() -> None:
    space = spaces.get("mlp")
    graph = prepared(
        with_weights(space.build(space.sample(np.random.default_rng(0)), Type((1, 9)), Type((1, 3))).graph)
    )
    x = np.random.default_rng(0).standard_normal((300, 9)).astype(np.float32)
    wide, narrow = observe(graph, x), observe(graph, x, method="percentile", tail=0.01)
    assert all(wide[k][0] <= narrow[k][0] + 1e-6 and narrow[k][1] <= wide[k][1] + 1e-6 for k in wide)
    assert any(narrow[k][1] < wide[k][1] for k in wide)


def test_fake_quantisation_computes_what_int8_will() -> None:
    space = spaces.get("conv-small")
    graph = prepared(
        with_weights(space.build(space.sample(np.random.default_rng(5)), Type((1, 1, 10, 10)), Type((1, 4))).graph)
    )
    x = np.random.default_rng(0).standard_normal((16, 1, 10, 10)).astype(np.float32)
    ranges = observe(graph, x)
    fake = fake_quantise.insert(graph, ranges)
    _, real8 = logits(graph, int8.lower(graph, ranges), x)
    step = int8.lower(graph, ranges).outputs[0].type.quant.scale  # type: ignore[union-attr]
    assert np.abs(fake.run(x)[0] - real8).max() < 4 * step
    again = fake_quantise.remove(fake)
    assert np.allclose(again.run(x)[0], graph.run(x)[0], atol=1e-6)
