"""Operators one by one in the opsets where they changed, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_onnx_in_peers import compare, integers, real

rng = np.random.default_rng(5)
x = real(rng, 2, 3, 4)
CASES: list[tuple[str, list[Any], dict[str, Any]]] = []


def case(op: str, inputs: list[Any], **how: Any) -> None:
    CASES.append((op, [np.asarray(v) if v is not None else None for v in inputs], how))


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def name(value: tuple[str, list[Any], dict[str, Any]]) -> str:
    op, inputs, how = value
    shapes = ",".join("x".join(map(str, v.shape)) if v is not None else "_" for v in inputs)
    return f"{op}-{shapes}-{','.join(f'{k}={v}' for k, v in how.items())}".replace(" ", "")


for o in (7, 9, 10):
    case("Dropout", [x], opset=o)
case("Clip", [x], opset=7, min=-0.5, max=0.5)
case("Clip", [x, np.float32(-0.5), np.float32(0.5)], opset=11)
case("Clip", [ints(1, 5, 9), np.array(2), np.array(6)], opset=13)
case("Clip", [x, np.float32(0.5), np.float32(-0.5)], opset=13, fixed=(1, 2))
case("Clip", [x, None, np.float32(0.1)], opset=13, fixed=(2,))
case("TopK", [x], outputs=2, opset=9, k=2, axis=1)
case("TopK", [x, ints(2)], outputs=2, opset=10, fixed=(1,))
case("TopK", [x, ints(2)], outputs=2, opset=11, fixed=(1,), largest=0, axis=0)
case("Upsample", [real(rng, 1, 2, 3, 4)], opset=7, scales=[1.0, 1.0, 2.0, 3.0])
case("Upsample", [real(rng, 1, 2, 3, 4), np.float32([1, 1, 2, 2.5])], opset=9, fixed=(1,), mode="linear")
case("Resize", [real(rng, 1, 2, 3, 4), np.float32([1, 1, 0.6, 2])], opset=10, fixed=(1,))
case("Resize", [real(rng, 1, 2, 3, 4), np.float32([1, 1, 0.6, 2])], opset=10, fixed=(1,), mode="linear")
case("Squeeze", [real(rng, 1, 3, 1)], opset=11, axes=[0])
case("Unsqueeze", [real(rng, 3)], opset=11, axes=[0, 2])
case("Squeeze", [real(rng, 1, 3, 1)], opset=13)
case("BatchNormalization", [real(rng, 2, 3, 4), real(rng, 3), real(rng, 3), real(rng, 3), abs(real(rng, 3))], opset=7)
case("BatchNormalization", [real(rng, 2, 3, 4), real(rng, 3), real(rng, 3), real(rng, 3), abs(real(rng, 3))], opset=9)
case("BatchNormalization", [real(rng, 2, 3), real(rng, 3), real(rng, 3), real(rng, 3), abs(real(rng, 3))], opset=15)
case("Flatten", [real(rng, 2, 3, 4)], opset=11, axis=-1)
case("Flatten", [real(rng, 2, 3, 4)], opset=11, axis=0)
case("Gemm", [real(rng, 3, 4), real(rng, 4, 5), real(rng, 3, 1)], opset=7, alpha=0.5, beta=2.0)
case("Gemm", [real(rng, 4, 3), real(rng, 5, 4), real(rng, 5)], opset=11, transA=1, transB=1, beta=0.3, fixed=(1, 2))
case("Gemm", [real(rng, 3, 4), real(rng, 4, 5)], opset=11, fixed=(1,))
case("Gemm", [real(rng, 3, 4), real(rng, 4, 5), np.float32(2)], opset=11)
for a, b in (
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
):
    case("MatMul", [real(rng, *a), real(rng, *b)], opset=13)
    case("MatMul", [real(rng, *a), real(rng, *b)], opset=13, fixed=(1,))
for eq, sh in (
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("i,j->ij", [(2,), (3,)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("bhwc,hkc->bhwk", [(2, 3, 4, 5), (3, 6, 5)]),
    ("ii", [(3, 3)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]),
    ("abc,ab->ac", [(2, 3, 4), (2, 3)]),
):
    case("Einsum", [real(rng, *s) for s in sh], opset=12, equation=eq)
case("LRN", [real(rng, 1, 7, 3, 3)], opset=13, size=5)
case("InstanceNormalization", [real(rng, 2, 3, 4, 4), real(rng, 3), real(rng, 3)], opset=7)
case("LpNormalization", [x], opset=7, p=1, axis=1)
case("MeanVarianceNormalization", [real(rng, 2, 3, 4, 4)], opset=13)
case("LayerNormalization", [x, real(rng, 4), real(rng, 4)], outputs=3, opset=17)
case("LayerNormalization", [x, real(rng, 3, 4)], opset=17, axis=1)
case("GroupNormalization", [real(rng, 2, 4, 3), real(rng, 4), real(rng, 4)], opset=21, num_groups=2)
case("GroupNormalization", [real(rng, 2, 4, 3), real(rng, 2), real(rng, 2)], opset=18, num_groups=2)
case("PRelu", [real(rng, 2, 3, 4), real(rng, 3, 1)], opset=9)
case("Elu", [x], opset=7, alpha=0.4)
case("Selu", [x], opset=7)
case("Celu", [x], opset=12, alpha=0.7)
case("HardSigmoid", [x], opset=7)
case("HardSwish", [x], opset=14)
case("ThresholdedRelu", [x], opset=10, alpha=0.3)
case("Shrink", [x], opset=9, lambd=0.3, bias=0.2)
case("Mish", [x], opset=18)
for op in ("ArgMax", "ArgMin"):
    for last in (0, 1):
        case(op, [rng.integers(0, 3, (3, 4)).astype("f")], opset=13, axis=1, select_last_index=last, keepdims=0)
case("OneHot", [ints(0, -1, 2), ints(3), np.float32([0.5, 2])], opset=11, fixed=(1,))
case("OneHot", [ints(0, 1, 2), ints(4), np.float32([0, 1])], opset=11, fixed=(1,), axis=0)
case("OneHot", [ints(0, 7, -9), ints(3), np.float32([0, 1])], opset=11, fixed=(1,))
case("GatherND", [real(rng, 3, 4, 5), rng.integers(-3, 3, (2, 2))], opset=12)
case("GatherND", [real(rng, 3, 4, 5), rng.integers(-4, 4, (3, 2, 1))], opset=12, batch_dims=1)
for red in ("none", "add", "mul", "max", "min"):
    case(
        "ScatterND", [real(rng, 6, 3), ints(*[1, 4, 0])[:, None], real(rng, 3, 3)], opset=18, fixed=(1,), reduction=red
    )
    case(
        "ScatterElements",
        [
            real(rng, 4, 3),
            rng.integers(-4, 4, (5, 3)) * 0 + np.array([[0], [1], [3], [2], [-2]])
            if red == "add"
            else np.array([[0, 1, 2], [3, 2, -4]]),
            real(rng, 5, 3) if red == "add" else real(rng, 2, 3),
        ],
        opset=18,
        fixed=(1,),
        axis=0,
        reduction=red,
    )
for m in ("linear", "nearest", "cubic"):
    for pm in ("zeros", "border", "reflection"):
        for al in (0, 1):
            case(
                "GridSample",
                [real(rng, 2, 3, 5, 6), 1.3 * np.tanh(real(rng, 2, 4, 3, 2))],
                opset=20,
                mode=m,
                padding_mode=pm,
                align_corners=al,
            )
case("CumSum", [x, np.array(1)], opset=14, fixed=(1,), exclusive=1, reverse=1)
case("Trilu", [x, np.array(-1)], opset=14, fixed=(1,), upper=0)
case("DepthToSpace", [real(rng, 1, 8, 2, 3)], opset=13, blocksize=2, mode="CRD")
case("SpaceToDepth", [real(rng, 1, 2, 4, 6)], opset=13, blocksize=2)
case("Pow", [abs(x), ints(2)], opset=13)
case("Pow", [ints(1, 2, 3), np.float32([2, 0.5, 3])], opset=13)
case("Mod", [ints(-5, 5, 7), ints(3, -3, -2)], opset=13)
case("Mod", [x, real(rng, 4)], opset=13, fmod=1)
case("Div", [ints(-5, 5, 7), ints(3, -3, -2)], opset=13)
case("Mean", [x, real(rng, 4), real(rng, 3, 1)], opset=13)
case("Max", [x, real(rng, 4), real(rng, 3, 1)], opset=13)
for op in (
    "Tan",
    "Asin",
    "Acos",
    "Atan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Acosh",
    "Atanh",
    "Sin",
    "Erf",
    "Softplus",
    "Softsign",
    "IsNaN",
):
    case(op, [(1.2 + abs(x)) if op == "Acosh" else np.tanh(x)], opset=13)
case("ReverseSequence", [real(rng, 4, 3, 2), ints(4, 2, 1)], opset=10, fixed=(1,))
case("ReverseSequence", [real(rng, 3, 4, 2), ints(4, 2, 1)], opset=10, fixed=(1,), time_axis=1, batch_axis=0)
case("ConvTranspose", [real(rng, 1, 2, 4, 4), real(rng, 2, 3, 3, 3)], opset=11, output_shape=[10, 9], strides=[2, 2])
case("ConvTranspose", [real(rng, 1, 2, 4, 4), real(rng, 2, 3, 3, 3)], opset=11, auto_pad="SAME_LOWER", strides=[2, 2])
case("ConvTranspose", [real(rng, 1, 2, 4, 4), real(rng, 2, 3, 3, 3)], opset=11, auto_pad="SAME_UPPER", strides=[2, 2])
case(
    "ConvTranspose",
    [real(rng, 1, 2, 4, 4), real(rng, 2, 3, 3, 3)],
    opset=11,
    output_shape=[9, 9],
    output_padding=[1, 1],
    strides=[2, 2],
)
case(
    "MaxUnpool", [real(rng, 1, 1, 2, 2), np.array([[[[0, 3], [9, 14]]]])], opset=11, kernel_shape=[2, 2], strides=[2, 2]
)
case("MaxPool", [real(rng, 2, 3, 6, 6)], outputs=2, opset=12, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
case("MaxPool", [real(rng, 2, 3, 6, 6)], outputs=2, opset=12, kernel_shape=[3, 2], strides=[2, 2], storage_order=1)
case("MaxPool", [real(rng, 1, 1, 6, 6)], opset=12, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
case("MaxPool", [integers(rng, "uint8", 1, 1, 6, 6)], opset=12, kernel_shape=[3, 3])
case("DFT", [real(rng, 1, 8, 1)], opset=17, axis=1)
case("DFT", [real(rng, 1, 8, 2), None, np.array(1)], opset=20, fixed=(2,), inverse=1)
case("DFT", [real(rng, 1, 9, 1), None, np.array(1)], opset=20, fixed=(2,), onesided=1)
case("STFT", [real(rng, 1, 32, 1), np.array(4), np.hanning(8).astype("f"), np.array(8)], opset=17, fixed=(1, 3))
case("NegativeLogLikelihoodLoss", [real(rng, 3, 5), ints(1, 0, 4)], opset=13)
case("SoftmaxCrossEntropyLoss", [real(rng, 3, 5), ints(1, 0, 4)], opset=13)
case("Attention", [real(rng, 1, 2, 4, 8), real(rng, 1, 2, 6, 8), real(rng, 1, 2, 6, 8)], opset=23)
case("QuantizeLinear", [real(rng, 3, 4), np.float32(0.1), np.int8(2)], opset=13)
case("QuantizeLinear", [real(rng, 3, 4), np.float32([0.1, 0.2, 0.3]), np.int8([1, 2, 3])], opset=13, axis=0)
case(
    "DequantizeLinear", [integers(rng, "int8", 3, 4), np.float32([0.1, 0.2, 0.3]), np.int8([1, 2, 3])], opset=13, axis=0
)
case("DequantizeLinear", [np.int32([[1, 2]]), np.float32(0.1)], opset=13)


@pytest.mark.parametrize("drawn", CASES, ids=name)
def test_an_operator_agrees_with_onnx_runtime(drawn: tuple[str, list[Any], dict[str, Any]]) -> None:
    op, inputs, how = drawn
    assert compare(op, inputs, **how), "ONNX Runtime has no kernel for it"
