"""Float graphs as C: the same numbers natively and on an emulated core, to rounding."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from float_programs import native, on_cortex_m4, source_of

from netwright.devices.host.device import HostProgram
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Type, Value, ops

rng = np.random.default_rng(0)


def real(*shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def close(found: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...], share: float = 1e-5) -> None:
    assert len(found) == len(wanted)
    for i, (a, b) in enumerate(zip(found, wanted)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), i
        if b.dtype.kind != "f":
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=0, atol=share * float(np.abs(b[np.isfinite(b)]).max(initial=1e-30)))


def graph_of(build: Callable[..., object], *types: Type) -> Graph:
    b = Builder("net")
    made = build(b, *(b.input(f"x{i}", t) for i, t in enumerate(types)))
    b.output(*(made if isinstance(made, tuple) else (made,)))
    return b.graph()


def weight(b: Builder, *shape: int) -> Value:
    return b.constant(real(*shape, scale=0.4), "w")


def convolutions(b: Builder, x: Value, line: Value) -> tuple[Value, ...]:
    y = b(ops.Conv((1, 1), (1, 1, 1, 1)), x, weight(b, 10, 6, 3, 3), weight(b, 10))
    y = b(ops.Conv((2, 1), (2, 0, 1, 3), (2, 1)), b(ops.Relu(), y), weight(b, 7, 10, 3, 2))
    depth = b(ops.Conv((2, 2), (1, 2, 1, 2), (1, 1), 6), x, weight(b, 6, 1, 3, 5), weight(b, 6))
    groups = b(ops.Conv(groups=3), x, weight(b, 9, 2, 2, 2), weight(b, 9))
    dilated = b(ops.Conv((1,), (4, 0), (4,)), line, weight(b, 5, 6, 2), weight(b, 5))
    up = b(ops.ConvTranspose((2, 2), (1, 1, 1, 1), output_padding=(1, 1)), x, weight(b, 6, 4, 3, 3), weight(b, 4))
    wide = b(ops.ConvTranspose((3, 2), (0, 1, 2, 0), (2, 1), 2), x, weight(b, 6, 2, 3, 2), weight(b, 4))
    return y, depth, groups, dilated, up, wide, b(ops.ConvTranspose((2,)), line, weight(b, 6, 3, 4))


def products(b: Builder, x: Value, y: Value) -> tuple[Value, ...]:
    rows = b(ops.Linear(), x, weight(b, 6, 5), weight(b, 6))
    turned = b(ops.Transpose((0, 1, 3, 2)), y)
    scores = b(ops.Matmul(), x, turned)
    left = b(ops.Matmul(), weight(b, 2, 1, 7, 4), x)
    return rows, b(ops.Softmax(-1), scores), left, b(ops.Einsum("bhqd,bhkd->bhqk"), x, y), b(ops.Einsum("bhqd,bhkd->d"), x, y)


def composites(b: Builder, x: Value) -> tuple[Value, ...]:
    image = b(ops.Reshape((1, 6, 5, 8)), x)
    q = b(ops.Reshape((1, 3, 10, 8)), x)
    return (
        b(ops.LayerNorm(), x, weight(b, 8), weight(b, 8)),
        b(ops.GroupNorm(3), image, weight(b, 6), weight(b, 6)),
        b(ops.RMSNorm(), x, weight(b, 8)),
        b(ops.Gelu(), x), b(ops.Gelu(True), x), b(ops.Silu(), x), b(ops.HardSwish(), x), b(ops.Relu6(), x),
        b(ops.Attention(), q, q, q, weight(b, 10, 10)),
        b(ops.GlobalAveragePool(), image), b(ops.GlobalMaxPool(), image),
        b(ops.BatchNorm(), image, weight(b, 6), weight(b, 6), weight(b, 6), b.constant(np.abs(real(6)) + 0.5, "variance")),
        b(ops.BatchNorm(), image, weight(b, 6), weight(b, 6), weight(b, 6), b(ops.ReduceMax((0, 2, 3), False), b(ops.Abs(), image))),
    )  # fmt: skip


def pools(b: Builder, x: Value) -> tuple[Value, ...]:
    line = b(ops.Reshape((1, 6, 90)), x)
    return (
        *b(ops.MaxPool((3, 3), (2, 2), (1, 1, 1, 1), True), x),
        b(ops.MaxPool((3, 2), (2, 1), (2, 0, 1, 1)), x),
        b(ops.AveragePool((3, 3), (2, 2), (1, 1, 1, 1)), x),
        b(ops.AveragePool((3, 2), (2, 1), (2, 0, 1, 1), True), x),
        b(ops.AveragePool((5,), (3,)), line), b(ops.MaxPool((3,), (2,), (1, 0)), line),
        b(ops.Resize((18, 20)), x), b(ops.Resize((7, 13), coordinates="asymmetric"), x),
        b(ops.Resize((18, 20), "linear"), x), b(ops.Resize((7, 13), "linear", "align_corners"), x),
        b(ops.Resize((40,), "linear"), line),
    )  # fmt: skip


def reductions(b: Builder, x: Value) -> tuple[Value, ...]:
    found = [b(op(axes, keep), x) for op in (ops.ReduceSum, ops.ReduceMean, ops.ReduceMax, ops.ReduceMin)
             for axes, keep in (((), False), ((1,), True), ((0, -1), False), ((2, 1), False))]  # fmt: skip
    found += [b(ops.ArgMax(axis, keep), x) for axis, keep in ((-1, False), (1, True))]
    found += [*b(ops.TopK(3, -1), x), *b(ops.TopK(2, 1), x), b(ops.Softmax(1), x), b(ops.LogSoftmax(), x), b(ops.LogSoftmax(0), x)]
    return tuple(found)


def moves(b: Builder, x: Value, tokens: Value) -> tuple[Value, ...]:
    table = weight(b, 9, 4)
    parts = b(ops.Split(-1, (3, 1, 4)), x)
    return (
        b(ops.Transpose((2, 0, 1)), x), b(ops.Concat(1), x, x, weight(b, 2, 3, 8)), *parts, b(ops.Slice((0, 1, 1), (2, 3, 8), (1, 1, 3)), x),
        b(ops.Pad((0, 1, 2, 1, 0, 1)), x), b(ops.Pad((0, 1, 2, 1, 0, 1), value=1.5), x), b(ops.Pad((0, 2, 1, 0, 1, 3), "reflect"), x),
        b(ops.Pad((1, 0, 2, 0, 3, 1), "edge"), x), b(ops.Gather(), table, tokens), b(ops.Gather(2), x, tokens),
        b(ops.Gather(1), x, b.constant(np.array([2, -1, 0, 0]), "rows")), b(ops.Expand((4, 2, 3, 8)), x), b(ops.Reshape((6, 8)), x),
        b(ops.GatherElements(1), x, b(ops.Cast("int64"), b(ops.Clip(-3.0, 2.0), x))), x, table,
    )  # fmt: skip


def arithmetic(b: Builder, x: Value, y: Value, tokens: Value) -> tuple[Value, ...]:
    column, positive = b(ops.Slice((0, 0), (1, 8)), x), b(ops.Abs(), x)
    mask = b(ops.And(), b(ops.Greater(), x, y), b(ops.LogicalNot(), b(ops.LessEqual(), x, column)))
    three = b.constant(np.array(3, np.int32), "three")
    return (
        *(b(op(), x, y) for op in (ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Maximum, ops.Minimum)), b(ops.Pow(), positive, y),
        *(b(op(), x, column) for op in (ops.Add, ops.Equal, ops.Less, ops.GreaterEqual)), b(ops.Where(), mask, x, column), mask,
        b(ops.Or(), mask, b(ops.Less(), x, y)), b(ops.Cast("float32"), mask), b(ops.Cast("int32"), b(ops.Mul(), x, b.constant(7.0))),
        b(ops.Div(), tokens, three), b(ops.Add(), b(ops.Mul(), tokens, three), tokens), b(ops.Clip(-1.0, 2.0), tokens),
        b(ops.Clip(high=0.5), x), b(ops.LeakyRelu(0.2), x), b(ops.HardSigmoid(0.2, 0.4), x), b(ops.Spike(), x), b(ops.ReduceMax((0,)), tokens),
    )  # fmt: skip


F = lambda *shape: Type(shape)  # noqa: E731
GRAPHS: dict[str, tuple[Callable[..., object], tuple[Type, ...]]] = {
    "convolutions": (convolutions, (F(1, 6, 9, 10), F(1, 6, 21))),
    "products": (products, (F(2, 3, 4, 5), F(2, 3, 6, 5))),
    "composites": (composites, (F(1, 30, 8),)),
    "pools": (pools, (F(1, 6, 9, 10),)),
    "reductions": (reductions, (F(2, 3, 8),)),
    "moves": (moves, (F(2, 3, 8), Type((2, 5), "int64"))),
    "arithmetic": (arithmetic, (F(5, 8), F(5, 8), Type((4, 3), "int32"))),
}


def inputs_of(graph: Graph) -> list[np.ndarray]:
    return [real(*v.shape) if v.dtype == "float32" else rng.integers(-8, 8, v.shape).astype(v.dtype) for v in graph.inputs]


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_every_family_of_ops_gives_the_references_numbers(name: str, tmp_path: Path) -> None:
    build, types = GRAPHS[name]
    graph = graph_of(build, *types)
    program = native(graph, tmp_path)
    for _ in range(3):
        data = inputs_of(graph)
        close(step(program, data), graph.run(*data))


def step(program: HostProgram, data: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """One step with whole arrays: `run` would take a leading dimension other than 1 for samples."""
    run, reset, places, results = program._functions("infer")
    reset()
    for x, place in zip(data, places, strict=True):
        ctypes.memmove(place, np.ascontiguousarray(x).ctypes.data, x.nbytes)
    run()
    outputs = [np.zeros(t.shape, t.dtype) for _, t in program.entries["infer"].outputs]
    for y, place in zip(outputs, results, strict=True):
        ctypes.memmove(y.ctypes.data, place, y.nbytes)
    return tuple(outputs)


SPANS = {
    ops.Exp: (-100, 88), ops.Log: (1e-6, 1e6), ops.Sqrt: (0, 1e6), ops.Rsqrt: (1e-6, 1e6), ops.Tanh: (-12, 12), ops.Sigmoid: (-80, 80),
    ops.Softplus: (-80, 80), ops.Erf: (-5, 5), ops.Sin: (-50, 50), ops.Cos: (-50, 50), ops.Reciprocal: (0.01, 9), ops.Neg: (-2, 2),
    ops.Abs: (-2, 2), ops.Sign: (-2, 2), ops.Floor: (-9, 9), ops.Ceil: (-9, 9), ops.Round: (-9, 9), ops.Relu: (-2, 2),
}  # fmt: skip


def test_elementary_functions_are_right_to_a_millionth(tmp_path: Path) -> None:
    """Relative to each value; sin and cos, which cross 0 where float32 has no finer argument, to 1."""
    from math import erf

    count, exact = 20_000, {
        ops.Exp: np.exp, ops.Log: np.log, ops.Sqrt: np.sqrt, ops.Rsqrt: lambda v: 1 / np.sqrt(v), ops.Tanh: np.tanh,
        ops.Sigmoid: lambda v: 1 / (1 + np.exp(-v)), ops.Softplus: lambda v: np.logaddexp(v, 0), ops.Erf: np.vectorize(erf),
        ops.Sin: np.sin, ops.Cos: np.cos, ops.Reciprocal: np.reciprocal, ops.Neg: np.negative, ops.Abs: np.abs, ops.Sign: np.sign,
        ops.Floor: np.floor, ops.Ceil: np.ceil, ops.Round: np.rint, ops.Relu: lambda v: np.maximum(v, 0),
    }  # fmt: skip
    graph = graph_of(lambda b, *xs: tuple(b(op(), x) for op, x in zip(SPANS, xs, strict=True)), *[Type((1, count))] * len(SPANS))
    data = []
    for low, high in SPANS.values():
        small = rng.choice([-1, 1], count // 4) * 10.0 ** rng.uniform(-6, 0, count // 4)
        whole = np.concatenate([rng.uniform(low, high, count - count // 4 - 40), np.clip(small, low, high), np.arange(40) / 2 % (high - low) + low])
        data.append(whole.astype(np.float32)[None])
    for op, x, y in zip(SPANS, data, native(graph, tmp_path).run(*data), strict=True):
        wanted = exact[op](x.astype(np.float64))
        size = np.ones_like(wanted) if op in (ops.Sin, ops.Cos) else np.maximum(np.abs(wanted), 1.2e-38)
        worst = float((np.abs(y - wanted) / size).max())
        print(f"{op.name}: {worst:.1e}")
        assert worst < 1e-6, f"{op.name} is {worst:.2e} away"


def test_elementary_functions_at_the_ends(tmp_path: Path) -> None:
    special = np.float32([[0.0, -0.0, np.inf, -np.inf, np.nan, 1e-42, 3e38, -3e38, 100, -100, -1]])
    kinds = (ops.Exp, ops.Log, ops.Sqrt, ops.Rsqrt, ops.Tanh, ops.Sigmoid, ops.Softplus, ops.Erf, ops.Floor, ops.Round)
    graph = graph_of(lambda b, x: tuple(b(op(), x) for op in kinds), Type(special.shape))
    with np.errstate(all="ignore"):
        wanted = graph.run(special)
    for op, y, reference in zip(kinds, native(graph, tmp_path).run(special), wanted, strict=True):
        np.testing.assert_allclose(y, reference, rtol=1e-6, atol=1e-44, err_msg=op.name)


def lstm_step() -> Graph:
    b = Builder("step")
    x, h = b.input("x", Type((1, 5))), b.state("h", Type((1, 6)))
    c, old = b.state("c", Type((1, 6)), 0.25), b.state("old", Type((1, 5)), -1.0)
    oldest = b.state("oldest", Type((1, 5)))
    w = [b.param("w_x", (24, 5)), b.param("w_h", (24, 6)), b.param("bias", (24,))]
    after = b(ops.LSTMCell(), x, h, c, *w)
    b.update(h, after[0])
    b.update(c, after[1])
    b.update(old, x)  # a delay line: the state becomes the input, the older state the state
    b.update(oldest, old)
    b.output(b(ops.Concat(-1), after[0], old, oldest))
    graph = b.graph()
    return graph.with_store(graph.store.initialise(graph))


def test_states_are_kept_between_steps(tmp_path: Path) -> None:
    graph = lstm_step()
    program, runner, x = native(graph, tmp_path), graph.runner(), real(9, 5)
    wanted = np.concatenate([runner.step(row[None])[0] for row in x])
    for _ in range(2):  # starting afresh each time
        close(program.run(x, stream=True), (wanted,))


def small_network() -> Graph:
    b = Builder("small")
    x = b.input("x", Type((1, 2, 10, 10)))
    y = b(ops.Conv((2, 2), (1, 1, 1, 1)), x, weight(b, 6, 2, 3, 3), weight(b, 6))
    y = b(ops.BatchNorm(), y, weight(b, 6), weight(b, 6), weight(b, 6), b.constant(np.abs(real(6)) + 0.5, "variance"))
    y = b(ops.Gelu(), y)
    y = b(ops.Conv((1, 1), (1, 1, 1, 1), groups=6), y, weight(b, 6, 1, 3, 3))
    y = b(ops.Reshape((0, -1)), b(ops.GlobalAveragePool(), b(ops.Silu(), y)))
    y = b(ops.Linear(), b(ops.LayerNorm(), y, weight(b, 6), weight(b, 6)), weight(b, 4, 6), weight(b, 4))
    b.output(b(ops.Softmax(), y))
    return b.graph()


@pytest.mark.parametrize("fpu", (False, True))
def test_a_small_network_runs_on_the_emulated_cortex_m4(fpu: bool, tmp_path: Path) -> None:
    graph = small_network()
    x = real(1, 2, 10, 10)
    found, instructions = on_cortex_m4(graph, tmp_path, x, fpu=fpu)
    print(f"{graph.macs} MACs, {instructions} instructions, {'FPU' if fpu else 'soft float'}")
    close(found, graph.run(x))


sys.path.append(str(Path(__file__).parents[1] / "graph" / "torch_import"))
IMPORTED = (
    "PlainConvNet", "VggBN", "InvertedResidualSE", "UNet", "MlpMixer", "TransformerEncoder", "LstmClassifier", "BidirectionalGru", "GptDecoder",
    "ConvNeXtBlock", "SuperResolution", "SwinWindow", "TextClassifier", "WaveNet", "Assorted", "OddPools", "DiffusionBlock", "CausalAttention",
)  # fmt: skip


@pytest.mark.parametrize("name", IMPORTED)
def test_imported_torch_modules_compile(name: str, tmp_path: Path) -> None:
    from torch_modules import MODULES

    from netwright import from_torch

    module, example = MODULES[name]()
    graph = from_torch(module, example)
    data = [x.numpy() for x in example]
    close(step(native(graph, tmp_path), data), graph.run(*data))


def test_what_has_no_c_is_refused_by_name(tmp_path: Path) -> None:
    double = graph_of(lambda b, x: b(ops.Relu(), x), Type((1, 3), "float64"))
    with pytest.raises(UserError, match="float64"):
        source_of(double)
    scatter = graph_of(lambda b, x: b(ops.ScatterAdd(1, 4), x, b.constant(np.array([0, 1, 1]))), Type((1, 3)))
    with pytest.raises(UserError, match="scatter_add"):
        source_of(scatter)
    b = Builder("empty")
    b.output(b(ops.Linear(), b.input("x", Type((1, 3))), b.param("fc.weight", (2, 3))))
    with pytest.raises(UserError, match=r"fc\.weight has no contents"):
        source_of(b.graph())


def test_generated_c_is_readable_and_shares_what_is_read_twice() -> None:
    source = source_of(small_network())
    text = source.files[f"{source.name}.c"]
    assert "/* conv: conv 2x10x10 -> 6x5x5" in text
    lstm = source_of(lstm_step())
    assert lstm.files[f"{lstm.name}.c"].count("static const float w_x[") == 1
