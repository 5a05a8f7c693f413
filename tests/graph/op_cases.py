"""One or more cases for every op: the op, its operands, and what there is to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.graph import Op, Quant, ops
from netwright.tasks import LogMel

rng = np.random.default_rng(0)


@dataclass(frozen=True)
class Case:
    op: Op
    inputs: tuple[Any, ...]
    quants: tuple[Any, ...] = ()
    gradient: bool = True  # compared with torch autograd
    wrt: tuple[int, ...] | None = None  # operands that torch differentiates for; None: every floating one
    torch: bool = True
    onnx: bool = True  # an ONNX form exists
    steps: int | None = None  # quantisation steps that ONNX Runtime may be away
    second: bool = True  # gradient of the gradient compared too

    def __str__(self) -> str:
        shapes = ",".join("x".join(map(str, x.shape)) if x is not None else "_" for x in self.inputs)
        return f"{self.op}-{shapes}".replace(" ", "")


def real(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return rng.uniform(low, high, shape).astype(np.float32)


def distinct(*shape: int) -> np.ndarray:
    """No two elements close to each other: finite steps of float32 do not reorder them."""
    return (rng.permutation(int(np.prod(shape))).reshape(shape) / 7 - 1.5).astype(np.float32)


def index(n: int, *shape: int) -> np.ndarray:
    return rng.integers(-n, n, shape)


def truth(*shape: int) -> np.ndarray:
    return rng.random(shape) < 0.5


def int8(*shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def _elementwise() -> list[Case]:
    x = real(2, 3, 4)
    plain = (
        ops.Neg, ops.Abs, ops.Sign, ops.Floor, ops.Ceil, ops.Round, ops.Exp, ops.Sin, ops.Cos, ops.Tanh, ops.Sigmoid,
        ops.Softplus, ops.Erf, ops.Relu, ops.Relu6, ops.HardSwish, ops.Silu, ops.HardSigmoid, ops.LeakyRelu, ops.Gelu,
    )  # fmt: skip
    cases = [Case(op(), (x,)) for op in plain]
    cases += [Case(op(), (real(3, 4, low=0.2, high=3),)) for op in (ops.Log, ops.Sqrt, ops.Rsqrt, ops.Reciprocal)]
    cases += [Case(op(), (5 * real(40),)) for op in (ops.Sigmoid, ops.HardSwish, ops.Gelu, ops.Silu, ops.HardSigmoid)]
    cases += [Case(op(), (np.array([-90, -30, 0.5, 30, 90], "f"),)) for op in (ops.Sigmoid, ops.Softplus, ops.Tanh)]
    cases += [
        Case(ops.LeakyRelu(0.3), (x,)),
        Case(ops.HardSigmoid(0.2, 0.4), (3 * x,)),
        Case(ops.Gelu(approximate=True), (x,)),
        Case(ops.Clip(-1.0, 0.5), (x,)),
        Case(ops.Clip(low=0.1), (x,)),
        Case(ops.Clip(high=0.1), (x,)),
        Case(ops.Clip(-5, 60), (int8(9),), gradient=False),
        Case(ops.Clip(0.0, 60.0), (int8(9),), gradient=False),
        Case(ops.Clip(low=0.0), (rng.integers(-9, 9, (5,)),), gradient=False),
        Case(ops.Neg(), (rng.integers(-9, 9, (4,)),), gradient=False),
        Case(ops.Abs(), (np.asarray(-1.5, np.float32),)),
        Case(ops.Spike(3.0), (x,), second=False),
        Case(ops.LogicalNot(), (truth(3, 2),), gradient=False),
        Case(ops.Atan(), (3 * x,)),
    ]
    return cases


def _binary() -> list[Case]:
    pairs = [(real(2, 3, 4), real(2, 3, 4)), (real(2, 3, 4), real(3, 1)), (real(4), real(2, 1, 4)), (real(3, 1), real(1, 4))]
    cases = [Case(op(), pair) for op in (ops.Add, ops.Sub, ops.Mul, ops.Maximum, ops.Minimum) for pair in pairs]
    cases += [Case(ops.Div(), (x, np.sign(y) * (0.3 + np.abs(y)))) for x, y in pairs]
    cases += [Case(ops.Pow(), (0.2 + np.abs(x), y)) for x, y in pairs]
    cases += [Case(ops.Pow(), (real(5), np.float32([2.0])), wrt=(0,))]
    whole = (rng.integers(-20, 20, (3, 4)), rng.integers(1, 6, (4,)))
    cases += [Case(op(), whole, gradient=False) for op in (ops.Add, ops.Sub, ops.Mul, ops.Div, ops.Maximum)]
    cases += [Case(op(), (np.asarray(1.5, np.float32), real(3))) for op in (ops.Mul, ops.Add)]
    divisors = rng.integers(1, 6, (4,)) * np.array([1, -1, 1, -1])
    cases += [Case(ops.Mod(fmod), (whole[0], divisors), gradient=False) for fmod in (False, True)]
    cases += [Case(ops.Mod(True), (3 * real(2, 3, 4), real(3, 1, low=0.7)), wrt=(0,))]
    close = (rng.integers(0, 3, (4, 5)).astype("f"), rng.integers(0, 3, (5,)).astype("f"))
    compare = (ops.Equal, ops.Less, ops.LessEqual, ops.Greater, ops.GreaterEqual)
    cases += [Case(op(), close, gradient=False) for op in compare]
    cases += [Case(op(), (whole[0], whole[1]), gradient=False) for op in compare]
    cases += [Case(op(), (truth(3, 4), truth(4)), gradient=False) for op in (ops.And, ops.Or)]
    cases += [
        Case(ops.Where(), (truth(3, 4), real(4), real(2, 3, 1))),
        Case(ops.Where(), (truth(2), rng.integers(0, 9, (2,)), rng.integers(0, 9, (2,))), gradient=False),
    ]
    return cases


def _layers() -> list[Case]:
    x1, x2 = real(2, 4, 11), real(2, 4, 9, 8)
    return [
        Case(ops.Conv(), (x2, real(6, 4, 3, 3), real(6))),
        Case(ops.Conv((2, 2), (1, 1, 1, 1)), (x2, real(6, 4, 3, 3))),
        Case(ops.Conv((2, 3), (0, 1, 2, 0), (2, 1)), (x2, real(6, 4, 3, 2), real(6))),
        Case(ops.Conv((3, 2), (1, 0, 0, 1)), (x2, real(2, 4, 2, 3), None)),
        Case(ops.Conv((1, 1), (1, 1, 1, 1), groups=4), (x2, real(4, 1, 3, 3), real(4))),
        Case(ops.Conv((2, 1), (1, 1, 1, 1), groups=2), (x2, real(6, 2, 3, 3), real(6))),
        Case(ops.Conv(groups=4), (real(1, 4, 5, 5), real(8, 1, 1, 1))),
        Case(ops.Conv((2,), (2, 1), (2,)), (x1, real(3, 4, 3), real(3))),
        Case(ops.Conv((3,), (1, 1), groups=2), (x1, real(4, 2, 2))),
        Case(ops.ConvTranspose(), (x2, real(4, 3, 3, 3), real(3))),
        Case(ops.ConvTranspose((2, 2), (1, 1, 1, 1), output_padding=(1, 1)), (x2, real(4, 3, 3, 3), real(3))),
        Case(ops.ConvTranspose((2, 3), (1, 0, 0, 1), (2, 1), 2, (0, 2)), (x2, real(4, 3, 3, 2), real(6))),
        Case(ops.ConvTranspose((1, 1), (0, 1, 2, 0), groups=4, output_padding=(3, 1)), (x2, real(4, 1, 3, 3), real(4))),
        Case(ops.ConvTranspose((2,), (1, 2)), (x1, real(4, 5, 4), None)),
        Case(ops.ConvTranspose((2,), (0, 0), output_padding=(4,)), (x1, real(4, 5, 2), real(5))),
        Case(ops.Linear(), (real(3, 5), real(4, 5), real(4))),
        Case(ops.Linear(), (real(2, 3, 5), real(4, 5), real(4))),
        Case(ops.Linear(), (real(5), real(4, 5), None)),
        Case(ops.Linear(), (real(3, 5), real(4, 5))),
        Case(ops.Matmul(), (real(3, 4), real(4, 5))),
        Case(ops.Matmul(), (real(2, 1, 3, 4), real(5, 4, 2))),
        Case(ops.Matmul(), (real(3, 4), real(2, 4, 2))),
        Case(ops.Einsum("bhqd,bhkd->bhqk"), (real(2, 3, 4, 5), real(2, 3, 6, 5))),
        Case(ops.Einsum("ij,jk->k"), (real(2, 3), real(3, 4))),
        Case(ops.Einsum("ab,c->ca"), (real(2, 3), real(4))),
        Case(ops.BatchNorm(), (x2, real(4), real(4), real(4), real(4, low=0.2, high=2)), wrt=(0, 1, 2)),
        Case(ops.BatchNorm(epsilon=1e-2), (real(3, 4), real(4), real(4), real(4), real(4, low=0.2, high=2)), wrt=(0, 1, 2)),
        Case(ops.LayerNorm(), (real(2, 3, 6), real(6), real(6))),
        Case(ops.LayerNorm(1e-3, 2), (real(2, 3, 6), real(3, 6), None)),
        Case(ops.LayerNorm(), (real(2, 6), None, None)),
        Case(ops.CausalAttention(), (real(4, 5, 6), real(2, 5, 6), real(2, 5, 3))),
        Case(ops.CausalAttention(0.5), (real(2, 5, 6), real(2, 5, 6), real(2, 5, 6))),
        Case(ops.CausalAttention(), (real(6, 2, 4), real(2, 7, 4), real(2, 7, 4), np.array([3]))),
        Case(ops.Rope(), (real(3, 5, 6), real(5, 3), real(5, 3))),
        Case(ops.RMSNorm(), (real(2, 3, 6), real(6))),
        Case(ops.RMSNorm(1e-2), (real(2, 6),)),
        Case(ops.GroupNorm(2), (x2, real(4), real(4))),
        Case(ops.GroupNorm(4), (x1, None, None)),
        Case(ops.Softmax(), (real(2, 3, 5),)),
        Case(ops.Softmax(1), (real(2, 3, 5),)),
        Case(ops.LogSoftmax(), (3 * real(4, 6),)),
        Case(ops.LogSoftmax(0), (real(4, 6),)),
        Case(ops.Attention(), (real(2, 3, 4, 5), real(2, 3, 6, 5), real(2, 3, 6, 7))),
        Case(ops.Attention(0.5), (real(4, 5), real(6, 5), real(6, 7), real(4, 6))),
        Case(ops.LSTMCell(), (real(2, 3), real(2, 4), real(2, 4), real(16, 3), real(16, 4), real(16))),
        Case(ops.LSTMCell(), (real(2, 3), real(2, 4), real(2, 4), real(16, 3), real(16, 4))),
        Case(ops.GRUCell(), (real(2, 3), real(2, 4), real(12, 3), real(12, 4), real(12), real(12))),
        Case(ops.GRUCell(), (real(2, 3), real(2, 4), real(12, 3), real(12, 4), None, real(12))),
        Case(ops.LIFCell(), (real(2, 5), real(2, 5)), second=False),
    ]


def _pool() -> list[Case]:
    x1, x2 = distinct(2, 3, 9), distinct(2, 3, 7, 8)
    cases = []
    for op in (ops.MaxPool, ops.AveragePool):
        cases += [
            Case(op((2, 2), (2, 2)), (x2,)),
            Case(op((3, 3)), (x2,)),
            Case(op((3, 3), (2, 2), (1, 1, 1, 1)), (x2,)),
            Case(op((3, 2), (2, 1), (2, 0, 1, 1)), (x2,)),
            Case(op((3,), (2,), (1, 0)), (x1,)),
        ]
    cases += [
        Case(ops.MaxPool((3, 3), (2, 2), (1, 1, 1, 1), True), (x2,)),
        Case(ops.MaxPool((3, 2), (2, 1), (2, 0, 1, 1), True), (x2,)),
        Case(ops.MaxPool((3,), (2,), (1, 0), True), (x1,)),
        Case(ops.AveragePool((3, 3), (2, 2), (1, 1, 1, 1), True), (x2,)),
        Case(ops.AveragePool((3, 2), (2, 1), (2, 0, 1, 1), True), (x2,)),
        Case(ops.GlobalAveragePool(), (x2,)),
        Case(ops.GlobalAveragePool(), (x1,)),
        Case(ops.GlobalMaxPool(), (x2,)),
    ]
    for coordinates in ("half_pixel", "asymmetric", "align_corners"):
        for mode in ("nearest", "linear"):
            cases += [
                Case(ops.Resize((14, 5), mode, coordinates), (x2,)),
                Case(ops.Resize((21, 4), mode, coordinates), (x2,)),
                Case(ops.Resize((6,), mode, coordinates), (x1,)),
            ]
    return cases


def _reductions() -> list[Case]:
    x = distinct(2, 3, 4)
    cases = []
    for op in (ops.ReduceSum, ops.ReduceMean, ops.ReduceMax, ops.ReduceMin):
        cases += [Case(op(), (x,)), Case(op((1,), False), (x,)), Case(op((-1, 0)), (x,)), Case(op((), False), (x,))]
    cases += [Case(op((0,)), (rng.integers(-9, 9, (3, 2)),), gradient=False) for op in (ops.ReduceSum, ops.ReduceMax)]
    equal = np.float32([[1, 3, 3, 0], [2, 2, 2, 2], [0, 1, 0, 1]])
    cases += [Case(ops.ArgMax(axis, keep), (equal,), gradient=False) for axis in (0, -1) for keep in (False, True)]
    cases += [
        Case(ops.TopK(2), (x,)),
        Case(ops.TopK(3, 1), (x,)),
        Case(ops.TopK(3), (equal,), gradient=False),
    ]
    return cases


def _moves() -> list[Case]:
    x = real(2, 3, 4)
    return [
        Case(ops.Reshape((0, -1)), (x,)),
        Case(ops.Reshape((4, 6)), (x,)),
        Case(ops.Reshape(()), (real(1, 1),)),
        Case(ops.Transpose((2, 0, 1)), (x,)),
        Case(ops.Expand((5, 2, 3, 4)), (real(2, 1, 4),)),
        Case(ops.Expand((3, 1)), (real(1, 4),)),
        Case(ops.Concat(1), (x, real(2, 1, 4), real(2, 2, 4))),
        Case(ops.Concat(-1), (x,)),
        Case(ops.Split(2, (1, 3)), (x,)),
        Case(ops.Split(-2, (1, 1, 1)), (x,)),
        Case(ops.Split(0, (2,)), (x,)),
        Case(ops.Slice((0, 1, 0), (1, 3, 4)), (x,)),
        Case(ops.Slice((0, 1, 1), (2**31 - 1, 3, 4), (1, 1, 2)), (x,)),
        Case(ops.Slice((1, 0), (7, 5), (3, 2)), (real(8, 5),)),
        Case(ops.Pad((0, 1, 2, 1, 0, 1)), (x,)),
        Case(ops.Pad((0, 1, 2, 1, 0, 1), value=1.5), (x,)),
        Case(ops.Pad((0, 2, 1, 0, 1, 3), "reflect"), (x,)),
        Case(ops.Pad((1, 0, 2, 0, 3, 1), "edge"), (x,)),
        Case(ops.Pad((1, 2), value=-3.0), (int8(4),), gradient=False),
        Case(ops.Overwrite(1), (real(2, 5, 3), real(2, 2, 3), np.array([2]))),
        Case(ops.Overwrite(), (real(4, 3), real(3, 3), np.array([2]))),
        Case(ops.Overwrite(-1), (real(4, 3), real(4, 1), np.array([2]))),
        Case(ops.Gather(), (real(5, 3), index(5, 2, 4))),
        Case(ops.Gather(1), (x, index(3, 5))),
        Case(ops.Gather(-1), (x, np.asarray(-1))),
        Case(ops.ScatterAdd(0, 5), (real(4, 3), index(5, 4))),
        Case(ops.ScatterAdd(1, 6), (x, index(6, 3))),
        Case(ops.ScatterAdd(-1, 6), (x, index(6, 4))),
        Case(ops.GatherElements(1), (x, index(3, 2, 5, 4))),
        Case(ops.GatherElements(-1), (real(3, 4), index(4, 2, 4))),
        Case(ops.ScatterElements(1, (2, 5, 4)), (x, index(5, 2, 3, 4))),
        Case(ops.ScatterElements(-1, (2, 3, 6)), (x, index(6, 2, 3, 4).astype(np.int32))),
        Case(ops.ScatterElements(0, (4, 6)), (real(2, 5), index(4, 2, 5))),
        Case(ops.Cast("int32"), (3 * x,), gradient=False),
        Case(ops.Cast("float64"), (x,), second=False),
        Case(ops.Cast("float32"), (truth(3),), gradient=False),
        Case(ops.Cast("bool"), (np.float32([0, 1, -2]),), gradient=False),
    ]


def _quantised() -> list[Case]:
    a, c, out = Quant(0.02, 3), Quant(0.05, -7), Quant(0.04, 5)
    image, row = int8(2, 7, 6, 4), int8(3, 12)
    w, bias = int8(6, 3, 3, 4), rng.integers(-2000, 2000, 6).astype(np.int32)
    scales = real(6, low=0.001, high=0.02)
    deep, turned = int8(4, 3, 3, 1), int8(6, 3, 2, 4)
    exact = {"gradient": False, "torch": False}
    return [
        Case(ops.Quantise(a), (real(40),), gradient=False, steps=1),
        Case(ops.Quantise(Quant(0.02, 128), "uint8"), (real(40),), gradient=False, steps=1),
        Case(ops.Quantise(Quant(0.5, 3), even=True), (np.arange(-9, 9, dtype=np.float32) / 4,), gradient=False),
        Case(ops.Dequantise(a), (int8(20),), (a,), gradient=False),
        Case(ops.FakeQuantise(), (real(50), np.asarray(-1.5, "f"), np.asarray(1.2, "f")), wrt=(0,)),
        Case(ops.FakeQuantise(4), (real(50), np.asarray(0.3, "f"), np.asarray(1.2, "f")), wrt=(0,)),
        Case(ops.FakeQuantise(8, True), (real(3, 5), real(3, 1, low=-1, high=-0.5), real(3, 1, low=0.5, high=1)), wrt=(0,)),
        Case(ops.QConv((2, 1), (1, 1, 0, 1), (1, 1), 1, a, out), (image, w, scales, bias), (a,), steps=1, **exact),
        Case(ops.QConv((1, 1), (2, 2, 2, 2), (2, 2), 1, a, out, 5, 60), (image, w, scales, bias), (a,), steps=1, **exact),
        Case(
            ops.QConv((1, 1), (1, 1, 1, 1), (1, 1), 4, a, out, 5), (image, deep, scales[:4], bias[:4]), (a,), steps=1, **exact
        ),
        Case(ops.QConvTranspose((2, 2), (1, 0, 1, 1), (1, 1), a, out), (image, turned, scales, bias), (a,), steps=1, **exact),
        Case(ops.QConvTranspose((1, 2), (0, 1, 2, 0), (2, 3), a, out, 5), (image, turned, scales, bias), (a,), steps=1, **exact),
        Case(ops.QLinear(a, out), (row, int8(6, 12), scales, bias), (a,), steps=1, **exact),
        Case(ops.QLinear(a, out, -128, 40), (row, int8(6, 12), scales, bias), (a,), steps=1, **exact),
        Case(ops.QAdd(a, c, out), (image, int8(2, 7, 6, 4)), (a, c), steps=1, **exact),
        Case(ops.QAdd(a, c, out, 5), (image, int8(1, 1, 1, 4)), (a, c), steps=1, **exact),
        Case(ops.QSub(a, c, out), (image, int8(2, 7, 6, 4)), (a, c), steps=1, **exact),
        Case(ops.QMul(a, c, out, -20, 100), (image, int8(2, 7, 6, 4)), (a, c), steps=1, **exact),
        Case(ops.QRequantise(a, out), (row,), (a,), steps=1, **exact),
        Case(ops.QRequantise(c, a, -100, 100), (row,), (c,), steps=1, **exact),
        Case(ops.QLookup(out, "tanh"), (row, int8(256)), (a,), **exact),
        Case(ops.QMaxPool((3, 2), (2, 2), (1, 0, 1, 1)), (image,), (a,), **exact),
        Case(ops.QMaxPool((2, 2), (2, 2), low=-10, high=50), (image,), (a,), **exact),
        Case(ops.QAveragePool((3, 2), (2, 2), (1, 0, 1, 1)), (image,), (a,), steps=1, **exact),
        Case(ops.QAveragePool((7, 6), (7, 6), low=0), (image,), (a,), steps=1, **exact),
        Case(ops.QMean((1, 2), True, a, Quant(0.003, -9)), (image,), (a,), steps=1, **exact),
        Case(ops.QMean((1, 2), False, a, out, 0, 90), (image,), (a,), steps=1, **exact),
        Case(ops.QMean((0, 2), True, a, out), (image,), (a,), steps=1, **exact),
        Case(ops.QMean((3,), False, a, out), (image,), (a,), steps=1, **exact),
        Case(ops.QSum((1, 2), True, a, Quant(0.9, 4)), (image,), (a,), steps=1, **exact),
        Case(ops.QSum((1, 3), False, a, Quant(0.5, 4)), (image,), (a,), steps=1, **exact),
        Case(ops.QExtreme((1, 2), False), (image,), (a,), **exact),
        Case(ops.QExtreme((3,), True, False), (image,), (a,), **exact),
        Case(ops.QPrelu(a, c, out), (image, int8(1, 1, 1, 4)), (a, c), steps=1, **exact),
        Case(ops.QFlip(), (row,), (a,), **exact),
        Case(ops.QFlip(), ((row.astype(int) + 128).astype(np.uint8),), (Quant(0.1, 128),), **exact),
        Case(ops.QRelabel(out), (row,), (a,), **exact),
        Case(ops.QRequantise(a, Quant(0.0002, 9), -32768, 32767, "int16"), (row,), (a,), steps=1, **exact),
        Case(ops.QRequantise(Quant(0.0003, 0), out), (300 * row.astype(np.int16),), (Quant(0.0003, 0),), steps=1, **exact),
        Case(ops.QMatmul(a, c, Quant(0.2, 1)), (int8(2, 3, 5), int8(2, 5, 4)), (a, c), steps=1, **exact),
        Case(
            ops.QAttention(2, 3, 2, (0, 0, 1), a, c, c, Quant(0.05, 2), Quant(0.01, 2), 1.0, Quant(0.1, -3)),
            (int8(2, 3, 6), int8(2, 5, 6), int8(2, 5, 5)), (a, c, c), onnx=False, **exact,
        ),
        Case(
            ops.QFeedForward(a, c, out, a, -100, 90),
            (row, int8(6, 12), scales, bias, int8(256), int8(5, 6), scales[:5], bias[:5]), (a,), onnx=False, **exact,
        ),
        Case(
            ops.QFeedForward(a, c, c, a, -128, 127, -9),
            (row, int8(6, 12), scales, bias, None, int8(5, 6), scales[:5], bias[:5]), (a,), onnx=False, **exact,
        ),
        Case(ops.QResizeBilinear((9, 5)), (image,), (a,), steps=1, **exact),
        Case(ops.QResizeBilinear((14, 12), half_pixel=True), (image,), (a,), steps=1, **exact),
        Case(ops.QResizeBilinear((9, 11), align_corners=True), (image,), (a,), steps=1, **exact),
        Case(ops.QConv(x=a, out=out, w_zero=-7), (image, w, scales, bias), (a,), steps=1, **exact),
        Case(ops.QLinear(a, out, w_zero=9), (row, int8(6, 12), scales, bias), (a,), steps=1, **exact),
        Case(ops.QAveragePool((2, 2), (2, 2), offset=128), (image,), (a,), steps=1, **exact),
        Case(
            ops.QLstm(a, c, c, (0.01,) * 4, (0.02,) * 4),
            (int8(2, 3, 5), int8(2, 6), np.zeros((2, 6), np.int16), int8(24, 5), int8(24, 6), np.zeros(24, np.int32)),
            (a, c), onnx=False, **exact,
        ),
        Case(
            ops.QSvdf(2, a, Quant(0.001, 0), out, 0.01, 0.02),
            (row, np.zeros((3, 24), np.int16), int8(8, 12), int8(8, 3).astype(np.int16), np.zeros(4, np.int32)),
            (a, Quant(0.001, 0)), onnx=False, **exact,
        ),
        Case(
            ops.QGroupNorm(2, True, 1e-3, 0.0001, a, Quant(0.03, 4)),
            (image, (8000 * real(4)).astype(np.int16), (9e6 * real(4)).astype(np.int32)), (a,), steps=1, **exact,
        ),
        Case(
            ops.QGroupNorm(1, False, 1e-3, 0.0001, a, Quant(0.03, 4), -90, 100),
            (row, (8000 * real(12)).astype(np.int16), (9e6 * real(12)).astype(np.int32)), (a,), steps=1, **exact,
        ),
        Case(ops.QSoftmax(c, dtype="int16"), (row,), (c,), steps=2, **exact),
        Case(ops.DynamicQuantise(), (real(3, 20),), gradient=False),
        Case(ops.DynamicQuantise(symmetric=True), (real(2, 4, 5),), gradient=False),
        Case(ops.QSoftmax(c), (row,), (c,), steps=1, **exact),
        Case(ops.QSoftmax(a, 0.5), (image,), (a,), steps=1, **exact),
        Case(ops.QArgMax(), (row,), (a,), **exact),
        Case(ops.QArgMax(1, True), (image,), (a,), **exact),
    ]


def _front_end() -> list[Case]:
    sound = LogMel(2000, 400, mels=9).graph()
    tables = [sound.store.read(p) for p in sound.params]
    readings = rng.integers(-30000, 30000, (2, 9, 3)).astype(np.int16)
    channels = [rng.integers(*ends, 3).astype(np.int32) for ends in ((-900, 900), (1 << 30, (1 << 31) - 1), (-9, -5))]
    exact = {"gradient": False, "torch": False, "onnx": False}
    return [
        Case(sound.nodes[0].op, (rng.integers(-9000, 9000, (2, 400)).astype(np.int16), *tables), **exact),
        Case(ops.QNormalise(Quant(0.02, 3)), (readings, *channels), **exact),
    ]


def _training() -> list[Case]:
    """Training on the device; tests/train_on_device holds gradients and updates against torch."""
    a, c, out = Quant(0.02, 3), Quant(0.05, -7), Quant(0.04, 5)
    image, g, pooled = int8(1, 7, 6, 4), real(1, 4, 6, 6), real(1, 4, 3, 4)
    trained, fixed = int8(6, 3, 3, 1), int8(6, 3, 3, 3)
    scales, bias = real(6, low=0.001, high=0.02), rng.integers(-2000, 2000, 6).astype(np.int32)
    geometry = ((2, 1), (1, 1, 1, 1))
    only = {"gradient": False, "torch": False, "onnx": False}
    return [
        Case(ops.QTrainedConv(*geometry, x=a, out=out, low=5), (image, trained, fixed, scales, bias), (a,), **only),
        Case(ops.QTrainedConv(*geometry, x=a, out=out, mask=False), (image, None, int8(6, 3, 3, 4), scales, bias), (a,), **only),
        Case(ops.QMaskedAdd(a, c, out), (image, int8(1, 7, 6, 4)), (a, c), **only),
        Case(ops.QMaskedMean((1, 2), False, a, c), (image,), (a,), **only),
        Case(ops.QClipGradient(), (g, rng.integers(0, 256, 18).astype(np.uint8), scales), **only),
        Case(ops.QClipGradient(), (g, None, real(1)), **only),
        Case(ops.QConvInputGradient(*geometry, size=(7, 6)), (g, trained, fixed), **only),
        Case(ops.QConvWeightGradient(*geometry, kernel=(3, 3), x=a), (image, g), (a,), **only),
        Case(ops.QBiasGradient(), (g,), **only),
        Case(ops.QAveragePoolGradient((2, 2), (1, 0, 1, 1), kernel=(3, 2), size=(7, 6)), (pooled,), **only),
        Case(ops.QMaxPoolGradient((2, 2), (1, 0, 1, 1), kernel=(3, 2)), (image, pooled), (a,), **only),
        Case(ops.QWeightUpdate(), (trained, int8(6, 3, 3, 1), real(6, 3, 3, 1), scales), **only),
        Case(ops.QWeightUpdate(), (trained, None, real(6, 3, 3, 1), scales), **only),
        Case(ops.QBiasUpdate(), (bias, real(6), scales), **only),
        Case(
            ops.QConvWeightStep(*geometry, kernel=(3, 3), x=a),
            (int8(6, 3, 3, 4), int8(6, 3, 3, 4).astype(np.int16), image, g, scales), (None, None, a), **only,
        ),
        Case(ops.QCrossEntropy(a), (int8(1, 5), np.array([2], np.int32)), (a,), **only),
    ]


CASES = [
    *_elementwise(), *_binary(), *_layers(), *_pool(), *_reductions(), *_moves(), *_quantised(), *_front_end(),
    *_training(),
]  # fmt: skip
