"""The gradient of a graph is a graph: of steps with state, whole networks, losses, and gradients themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from peers import as_float64, assert_close, in_onnx_runtime, output_gradients, torch_gradients

from netwright.compile.autodiff import autodiff
from netwright.graph import Builder, Composite, Graph, Op, Type, Value, ops
from netwright.graph.onnx import to_onnx

RNG = np.random.default_rng(0)


def ready(b: Builder) -> Graph:
    graph = b.graph()
    return graph.with_store(graph.store.initialise(graph, 1))


def conv_net(batch: int = 2) -> Graph:
    """Convolution, batch norm, depthwise, residual, pooling, linear, cross-entropy against one-hot labels."""
    b = Builder("conv_net")
    x = b.input("x", Type((batch, 3, 8, 8)))
    labels = b.input("labels", Type((batch, 5)))
    y = b(ops.Conv((2, 2), (1, 1, 1, 1)), x, b.param("stem.weight", (6, 3, 3, 3)), b.param("stem.bias", (6,)))
    norm = [b.param(f"norm.{n}", (6,)) for n in ("scale", "bias")]
    y = b(ops.BatchNorm(), y, *norm, b.constant(np.zeros(6), "mean"), b.constant(np.ones(6), "variance"))
    y = b(ops.HardSwish(), y)
    inner = b(ops.Conv((1, 1), (1, 1, 1, 1), groups=6), y, b.param("depthwise.weight", (6, 1, 3, 3)))
    y = b(ops.Add(), y, b(ops.Gelu(), inner))
    y = b(ops.MaxPool((2, 2), (2, 2)), y)
    y = b(ops.Reshape((0, -1)), b(ops.GlobalAveragePool(), y))
    logits = b(ops.Linear(), y, b.param("head.weight", (5, 6)), b.param("head.bias", (5,)), name="logits")
    picked = b(ops.ReduceSum((1,), False), b(ops.Mul(), b(ops.LogSoftmax(), logits), labels))
    b.output(b(ops.Neg(), b(ops.ReduceMean((), False), picked), name="loss"))
    return ready(b)


def conv_net_inputs(batch: int = 2) -> list[np.ndarray]:
    return [RNG.standard_normal((batch, 3, 8, 8)).astype("f"), np.eye(5, dtype="f")[RNG.integers(0, 5, batch)]]


def test_conv_net_loss_gradient_agrees_with_torch_end_to_end() -> None:
    graph, inputs = as_float64(conv_net()), [x.astype(np.float64) for x in conv_net_inputs()]
    backward = autodiff(graph, seeded=True)
    loss, *grads = backward.run(*inputs)
    wrt = [p.value.name for p in graph.params if p.trainable]
    assert [v.name for v in backward.outputs] == ["loss", *(f"d_{n}" for n in wrt)]
    assert loss == graph.run(*inputs)[0]
    assert_close(grads, torch_gradients(graph, inputs, wrt, [np.ones(())]), 1e-4)


def test_gradient_graph_of_a_conv_net_runs_in_onnx_runtime() -> None:
    backward, inputs = autodiff(conv_net(), seeded=True), conv_net_inputs()
    onnx.checker.check_model(to_onnx(backward), full_check=True)
    assert_close(in_onnx_runtime(backward, inputs), backward.run(*inputs), 1e-4)


def test_gradient_graph_is_made_for_the_batch_of_the_types() -> None:
    inputs = conv_net_inputs(4)
    wide = autodiff(conv_net(2).rebatch(4), seeded=True).run(*inputs)
    halves = [autodiff(conv_net(2), seeded=True).run(*(x[i : i + 2] for x in inputs)) for i in (0, 2)]
    assert_close(wide, [(p + q) / 2 for p, q in zip(*halves, strict=True)], 1e-5)


def lstm_step() -> Graph:
    b = Builder("lstm")
    x = b.input("x", Type((2, 3)))
    h, c = b.state("h", Type((2, 4))), b.state("c", Type((2, 4)))
    weights = [b.param("w_x", (16, 3)), b.param("w_h", (16, 4)), b.param("bias", (16,))]
    after: Any = b(ops.LSTMCell(), x, h, c, *weights)
    b.update(h, after[0])
    b.update(c, after[1])
    b.output(b(ops.Linear(), after[0], b.param("head", (2, 4)), name="y"))
    return ready(b)


def test_gradient_of_an_lstm_step_takes_and_gives_state_gradients() -> None:
    graph = lstm_step()
    wrt = ["x", "h", "c", "w_x", "w_h", "bias", "head"]
    backward = autodiff(graph, wrt)
    assert [v.name for v in backward.inputs] == ["x", "h", "c", "d_y", "d_h.after", "d_c.after"]
    assert not backward.states
    x, h, c, dy, dh, dc = (RNG.standard_normal(v.shape).astype("f") for v in backward.inputs)
    _, _, _, *grads = backward.run(x, h, c, dy, dh, dc)
    cell = torch.nn.LSTMCell(3, 4)
    tensors = {n: torch.from_numpy(a).requires_grad_() for n, a in {"x": x, "h": h, "c": c}.items()}
    tensors |= {n: torch.from_numpy(graph.store[n].copy()).requires_grad_() for n in ("w_x", "w_h", "bias", "head")}
    named = {"weight_ih": tensors["w_x"], "weight_hh": tensors["w_h"], "bias_ih": tensors["bias"], "bias_hh": torch.zeros(16)}
    h1, c1 = torch.func.functional_call(cell, named, (tensors["x"], (tensors["h"], tensors["c"])))
    total = ((h1 @ tensors["head"].T) * torch.from_numpy(dy)).sum()
    total = total + (h1 * torch.from_numpy(dh)).sum() + (c1 * torch.from_numpy(dc)).sum()
    wanted = torch.autograd.grad(total, [tensors[n] for n in wrt])
    assert_close(grads, [g.numpy() for g in wanted], 1e-4)


def test_backpropagation_through_time_by_iterating_the_step_gradient() -> None:
    graph = lstm_step()
    backward = autodiff(graph, ["h", "c", "w_h"], keep_outputs=False)
    xs = RNG.standard_normal((5, 2, 3)).astype("f")
    runner, befores = graph.runner(), []
    for x in xs:
        befores.append(dict(runner.states))
        runner.step(x)
    dh = dc = np.zeros((2, 4), "f")
    total = np.zeros((16, 4), "f")
    for x, before in zip(xs[::-1], befores[::-1], strict=True):
        dh, dc, dw = backward.run(x, before["h"], before["c"], np.ones((2, 2), "f"), dh, dc)
        total += dw
    step = 1e-3
    direction = RNG.standard_normal((16, 4)).astype("f")
    assert abs(float((total * direction).sum()) - slope(graph, xs, direction, step)) < 2e-3 * np.abs(total).max()


def slope(graph: Graph, xs: np.ndarray, direction: np.ndarray, step: float) -> float:
    """Central difference of the summed outputs along a direction of `w_h`."""
    sums = []
    for sign in (1, -1):
        store = graph.store.copy()
        store["w_h"] = (store["w_h"] + sign * step * direction).astype(np.float32)
        runner = graph.with_store(store).runner()
        sums.append(sum(float(runner.step(x)[0].astype(np.float64).sum()) for x in xs))
    return (sums[0] - sums[1]) / (2 * step)


def test_hessian_vector_product_of_attention_agrees_with_torch() -> None:
    b = Builder("attention")
    x = b.input("x", Type((2, 4, 6), "float64"))
    q, k, v = (b(ops.Linear(), x, b.param(n, (6, 6), dtype="float64")) for n in ("q", "k", "v"))
    y = b(ops.LayerNorm(), b(ops.Add(), b(ops.Attention(), q, k, v), x), None, None)
    b.output(b(ops.ReduceMean((), False), b(ops.Mul(), y, b(ops.Mul(), y, b(ops.Tanh(), y)))))
    graph = ready(b)
    first = autodiff(graph, ["q", "x"], keep_outputs=False, seeded=True)
    inputs = [RNG.standard_normal((2, 4, 6))]
    assert_close(first.run(*inputs), torch_gradients(graph, inputs, ["q", "x"], [np.ones(())]), 1e-4)
    dys = output_gradients(first, RNG)
    second = autodiff(first, ["q", "k", "x"], keep_outputs=False)
    leaves = [torch.from_numpy(graph.store[n].copy()).requires_grad_() for n in ("q", "k", "v")]
    tensor = torch.from_numpy(inputs[0]).requires_grad_()
    queries, keys, values = (tensor @ w.T for w in leaves)
    y = torch.nn.functional.scaled_dot_product_attention(queries, keys, values) + tensor
    y = torch.nn.functional.layer_norm(y, (6,))
    grads = torch.autograd.grad((y * y * y.tanh()).mean(), [leaves[0], tensor], create_graph=True)
    total = sum((g * torch.from_numpy(d)).sum() for g, d in zip(grads, dys, strict=True))
    wanted = torch.autograd.grad(total, [leaves[0], leaves[1], tensor])
    assert_close(second.run(*inputs, *dys), [g.numpy() for g in wanted], 1e-4)


def test_third_derivative_of_a_product() -> None:
    b = Builder("cube")
    x = b.input("x", Type((), "float64"))
    b.output(b(ops.Mul(), x, b(ops.Mul(), x, x)))
    graph = b.graph()
    for wanted in (3 * 2.0**2, 6 * 2.0, 6.0):
        graph = autodiff(graph, ["x"], keep_outputs=False, seeded=True)
        assert graph.run(np.float64(2.0))[0] == wanted


def test_batch_norm_statistics_have_the_gradient_of_the_formula() -> None:
    names, shapes = ("x", "scale", "bias", "mean", "variance"), ((3, 4, 5), (4,), (4,), (4,), (4,))
    arrays = [RNG.uniform(0.5, 2, s) for s in shapes]
    graphs = []
    for spelt in (False, True):
        b = Builder("norm")
        values = [b.input(n, Type(s, "float64")) for n, s in zip(names, shapes)]
        if spelt:
            x, scale, bias, mean, variance = values[0], *(b(ops.Reshape((4, 1)), v) for v in values[1:])
            root = b(ops.Sqrt(), b(ops.Add(), variance, b.constant(1e-5, "epsilon", "float64")))
            y = b(ops.Add(), b(ops.Mul(), b(ops.Div(), b(ops.Sub(), x, mean), root), scale), bias, name="y")
        else:
            y = b(ops.BatchNorm(), *values, name="y")
        b.output(y)
        graphs.append(b.graph())
    dy = RNG.standard_normal((3, 4, 5))
    one, other = (autodiff(g, names).run(*arrays, dy) for g in graphs)
    assert_close(one, other, 1e-9)


def test_a_value_used_twice_sums_its_gradients_and_an_unused_one_has_zeros() -> None:
    b = Builder("sum")
    x = b.input("x", Type((3,)))
    b.input("unused", Type((2,)))
    b.param("idle", (4,))
    y = b(ops.Mul(), x, x, name="y")
    b.output(y, y, x)
    graph = ready(b)
    backward = autodiff(graph, ["x", "unused", "idle"], keep_outputs=False)
    assert [v.name for v in backward.inputs] == ["x", "unused", "d_y", "d_y_1", "d_x"]
    x_array, ones = np.float32([1, 2, 3]), np.ones(3, "f")
    dx, du, di = backward.run(x_array, np.zeros(2, "f"), ones, 10 * ones, 100 * ones)
    np.testing.assert_array_equal(dx, 22 * x_array + 100)
    assert not du.any() and not di.any() and di.shape == (4,)


def test_nothing_flows_through_integers() -> None:
    b = Builder("rounded")
    x = b.input("x", Type((2, 5)))
    which = b(ops.ArgMax(), x)
    rows = b(ops.Gather(), b.param("table", (5, 3)), which)
    b.output(rows, which)
    backward = autodiff(ready(b), ["x", "table"], keep_outputs=False)
    assert [v.name for v in backward.inputs] == ["x", "d_gather"]
    x_array = np.float32([[0, 3, 1, 1, 0], [0, 1, 5, 1, 0]])
    dx, table = backward.run(x_array, np.ones((2, 3), "f"))
    assert not dx.any()
    np.testing.assert_array_equal(table.sum(1), [0, 3, 3, 0, 0])


def test_dead_code_is_left_out() -> None:
    b = Builder("two")
    x = b.input("x", Type((1, 2)))
    b.output(b(ops.Linear(), b(ops.Linear(), x, b.param("first", (3, 2))), b.param("last", (4, 3))))
    graph = ready(b)
    both, last = (autodiff(graph, names, keep_outputs=False) for names in (["first", "last"], ["last"]))
    assert len(last.nodes) < len(both.nodes)
    assert "first" in [p.value.name for p in last.params] and "last" not in [p.value.name for p in last.params]


@dataclass(frozen=True)
class _Staircase(Op):
    """An op without a gradient rule."""

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        return (x,)


@dataclass(frozen=True)
class _Stairs(Composite):
    def expand(self, b: Builder, x: Value) -> Value:  # type: ignore[override]
        return b(_Staircase(), x, name="steps")


@pytest.mark.parametrize("op", [_Staircase(), _Stairs()])
def test_an_op_without_gradient_is_named_with_its_node(op: Op) -> None:
    b = Builder("net")
    x = b.input("x", Type((2,)))
    b.output(b(ops.Relu(), b(op, x, name="steps")))
    with pytest.raises(ValueError, match="gradient of 'steps': op has no gradient"):
        autodiff(b.graph(), ["x"])


def test_wrong_requests_say_what_there_is() -> None:
    b = Builder("net")
    x, i = b.input("image", Type((2,))), b.input("index", Type((2,), "int64"))
    b.output(b(ops.Gather(), x, i))
    with pytest.raises(ValueError, match="did you mean 'image'"):
        autodiff(b.graph(), ["imag"])
    with pytest.raises(ValueError, match="'index': it is int64"):
        autodiff(b.graph(), ["index"])
    with pytest.raises(ValueError, match="one output of one element"):
        autodiff(b.graph(), ["image"], seeded=True)


def test_gradient_of_a_value_inside_is_what_reaches_it() -> None:
    b = Builder("inside")
    x = b.input("x", Type((2, 3)))
    first = b(ops.Linear(), x, b.param("a", (4, 3)), name="first")
    b.output(b(ops.Linear(), b(ops.Silu(), first), b.param("b", (2, 4)), name="y"))
    graph = ready(b)
    given, dy = RNG.standard_normal((2, 3)).astype("f"), RNG.standard_normal((2, 2)).astype("f")
    dfirst, dx = autodiff(graph, ["first", "x"], keep_outputs=False).run(given, dy)
    a = graph.store["a"]
    z = torch.tensor(given @ a.T, requires_grad=True)
    (torch.nn.functional.silu(z) @ torch.from_numpy(graph.store["b"]).T).backward(torch.from_numpy(dy))
    assert z.grad is not None
    assert_close([dfirst, dx], [z.grad.numpy(), z.grad.numpy() @ a], 1e-5)


@pytest.mark.parametrize("wrt", [["x"], ["x", "cosine"]])
def test_a_rotation_is_differentiated_whole_where_its_tables_are_fixed(wrt: list[str]) -> None:
    b = Builder("rotated")
    x = b.input("x", Type((2, 5, 6)))
    tables = [b.input(name, Type((5, 3))) for name in ("cosine", "sine")]
    b.output(b(ops.Rope(), x, *tables, name="y"))
    graph = b.graph()
    backward = autodiff(graph, wrt, keep_outputs=False)
    assert ("rope" in {node.op.name for node in backward.nodes}) == (wrt == ["x"])
    inputs = [RNG.standard_normal(v.shape).astype("f") for v in graph.inputs]
    dy = RNG.standard_normal((2, 5, 6)).astype("f")
    assert_close(backward.run(*inputs, dy), torch_gradients(graph, inputs, wrt, [dy]), 1e-5)
