"""Each op on the executor, from text and weight file, against PyTorch in fp32; its types against Core ML tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mil_programs import Writer
from torch.nn import functional as F

from netwright.devices.ane import execute, files
from netwright.devices.ane.execute import OPS
from netwright.devices.ane.mil import (
    BlobFile,
    Constant,
    Function,
    Program,
    TensorType,
    Variable,
    parse,
    string,
    to_text,
)
from netwright.errors import UserError

pytest.importorskip("coremltools")
from core_ml_oracle import check

Case = tuple[Callable[[Writer], Any], Callable[..., Any], dict[str, tuple[int, ...]]]
CASES: dict[str, Case] = {}
X = {"x": (2, 3, 4)}
XY = {"x": (2, 3, 4), "y": (3, 1)}
IMAGE = {"x": (2, 4, 7, 9)}
rng = np.random.default_rng(7)


def weight(*shape: int) -> np.ndarray:
    return (rng.normal(size=shape) / 3).astype(np.float16).astype(np.float32)


def case(name: str, build: Callable[[Writer], Any], reference: Callable[..., Any], inputs: dict[str, tuple[int, ...]]) -> None:
    assert name not in CASES
    CASES[name] = (build, reference, inputs)


for name, torch_name in {
    "add": "add", "sub": "sub", "mul": "mul", "real_div": "div", "maximum": "maximum", "minimum": "minimum", "floor_div": "floor_divide", "mod": "remainder",
}.items():
    case(name, lambda w, n=name: w.op(n, x="x", y="y"), getattr(torch, torch_name), XY)
case("pow", lambda w: w.op("pow", x=w.op("abs", x="x"), y="y"), lambda x, y: x.abs() ** y, XY)
for name in ("abs", "ceil", "floor", "round", "sign", "square", "cos", "sin", "tan", "atan", "sinh", "cosh", "exp", "exp2", "erf", "tanh", "sigmoid", "relu", "relu6", "silu", "softplus", "softsign"):
    function = getattr(torch, name, None) or getattr(F, name)
    case(name, lambda w, n=name: w.op(n, x="x"), function, X)
for name in ("acos", "asin", "atanh"):
    case(name, lambda w, n=name: w.op(n, x=w.op("mul", x=w.op("tanh", x="x"), y=0.5)), lambda x, n=name: getattr(torch, n)(torch.tanh(x).half().float() * 0.5), X)
case("sqrt", lambda w: w.op("sqrt", x=w.op("abs", x="x")), lambda x: x.abs().sqrt(), X)
case("rsqrt", lambda w: w.op("rsqrt", x=w.op("abs", x="x"), epsilon=0.001), lambda x: (x.abs() + np.float16(0.001)).rsqrt(), X)
case("log", lambda w: w.op("log", x=w.op("abs", x="x"), epsilon=0.001), lambda x: (x.abs() + np.float16(0.001)).log(), X)
case("inverse", lambda w: w.op("inverse", x=w.op("abs", x="x"), epsilon=0.5), lambda x: 1 / (x.abs() + 0.5), X)
case("clip", lambda w: w.op("clip", x="x", alpha=-0.5, beta=0.25), lambda x: x.clamp(-0.5, 0.25), X)
case("leaky_relu", lambda w: w.op("leaky_relu", x="x", alpha=0.125), lambda x: F.leaky_relu(x, 0.125), X)
case("elu", lambda w: w.op("elu", x="x", alpha=0.5), lambda x: F.elu(x, 0.5), X)
case("thresholded_relu", lambda w: w.op("thresholded_relu", x="x", alpha=0.5), lambda x: torch.where(x >= 0.5, x, 0.0), X)
case("clamped_relu", lambda w: w.op("clamped_relu", x="x", alpha=0.5, beta=1.0), lambda x: torch.where(x >= 0, x, 0.5 * x).clamp(max=1), X)
case("scaled_tanh", lambda w: w.op("scaled_tanh", x="x", alpha=0.5, beta=2.0), lambda x: 0.5 * torch.tanh(2 * x), X)
case("sigmoid_hard", lambda w: w.op("sigmoid_hard", x="x", alpha=0.25, beta=0.5), lambda x: (0.25 * x + 0.5).clamp(0, 1), X)
case("linear_activation", lambda w: w.op("linear_activation", x="x", alpha=0.25, beta=0.5), lambda x: 0.25 * x + 0.5, X)
SLOPES = weight(4)
case("prelu", lambda w: w.op("prelu", x="x", alpha=w.weight(SLOPES)), lambda x: F.prelu(x, torch.tensor(SLOPES)), IMAGE)
case("gelu exact", lambda w: w.op("gelu", x="x", mode="EXACT"), F.gelu, X)
case("gelu tanh", lambda w: w.op("gelu", x="x", mode="TANH_APPROXIMATION"), lambda x: F.gelu(x, approximate="tanh"), X)
case("gelu sigmoid", lambda w: w.op("gelu", x="x", mode="SIGMOID_APPROXIMATION"), lambda x: x * torch.sigmoid(1.702 * x), X)
for axis in (-1, 0, 1):
    case(f"softmax {axis}", lambda w, a=axis: w.op("softmax", x="x", axis=a), lambda x, a=axis: x.softmax(a), X)
case("matmul", lambda w: w.op("matmul", x="x", y="y", transpose_x=False, transpose_y=False), torch.matmul, {"x": (2, 1, 3, 4), "y": (5, 4, 6)})
case("matmul transposed", lambda w: w.op("matmul", x="x", y="y", transpose_x=True, transpose_y=True), lambda x, y: x.mT @ y.mT, {"x": (2, 4, 3), "y": (6, 4)})
W54, B5 = weight(5, 4), weight(5)
case("linear", lambda w: w.op("linear", x="x", weight=w.weight(W54), bias=w.weight(B5)), lambda x: F.linear(x, torch.tensor(W54), torch.tensor(B5)), X)
case("einsum", lambda w: w.op("einsum", values=("x", "y"), equation="nchw,nwhu->nchu"), lambda x, y: torch.einsum("nchw,nwhu->nchu", x, y), {"x": (2, 3, 4, 5), "y": (2, 5, 4, 6)})


def conv_case(name: str, kernel: tuple[int, ...], inputs: dict[str, tuple[int, ...]], reference: dict[str, Any], **settings: Any) -> None:
    w, function = weight(*kernel), (F.conv1d, F.conv2d, F.conv3d)[len(kernel) - 3]
    case(f"conv {name}", lambda writer: writer.conv("x", w, **settings), lambda x: function(x, torch.tensor(w), **reference), inputs)


conv_case("pointwise", (5, 4, 1, 1), IMAGE, {})
conv_case("decode", (5, 4, 1, 1), {"x": (1, 4, 1, 16)}, {})
conv_case("strided", (6, 4, 3, 3), IMAGE, {"stride": (2, 3), "padding": (1, 2)}, strides=[2, 3], pad_type="custom", pad=[1, 1, 2, 2])
conv_case("dilated", (6, 4, 3, 2), IMAGE, {"dilation": (2, 3)}, dilations=[2, 3])
conv_case("same", (6, 4, 3, 3), IMAGE, {"padding": "same"}, pad_type="same")
conv_case("depthwise", (4, 1, 3, 3), IMAGE, {"padding": 1, "groups": 4}, pad_type="custom", pad=[1, 1, 1, 1], groups=4)
conv_case("grouped", (6, 2, 3, 3), IMAGE, {"groups": 2}, groups=2)
conv_case("one axis", (6, 4, 3), {"x": (2, 4, 9)}, {"stride": 2}, strides=[2], pad=[0, 0], dilations=[1])
conv_case("three axes", (6, 4, 2, 3, 1), {"x": (1, 4, 5, 6, 4)}, {"stride": (1, 2, 1)}, strides=[1, 2, 1], pad=[0] * 6, dilations=[1, 1, 1])
W64, BIAS6 = weight(6, 4, 3, 3), weight(6)
case("conv bias", lambda w: w.conv("x", W64, bias=w.weight(BIAS6)), lambda x: F.conv2d(x, torch.tensor(W64), torch.tensor(BIAS6)), IMAGE)
case("conv same uneven", lambda w: w.conv("x", W64, pad_type="same", strides=[2, 2]), lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1)), torch.tensor(W64), stride=2), IMAGE)
case("conv same lower", lambda w: w.conv("x", W64, pad_type="same_lower", strides=[2, 2]), lambda x: F.conv2d(F.pad(x, (1, 0, 1, 0)), torch.tensor(W64), stride=2), {"x": (1, 4, 8, 8)})
T46 = weight(4, 3, 3, 2)
case(
    "conv_transpose",
    lambda w: w.op("conv_transpose", x="x", weight=w.weight(T46), pad_type="custom", pad=[1, 1, 0, 0], strides=[2, 3], dilations=[1, 2], groups=2),
    lambda x: F.conv_transpose2d(x, torch.tensor(T46), stride=(2, 3), padding=(1, 0), dilation=(1, 2), groups=2),
    IMAGE,
)
for op, function in {"reduce_sum": torch.sum, "reduce_mean": torch.mean, "reduce_max": torch.amax, "reduce_min": torch.amin, "reduce_log_sum_exp": torch.logsumexp}.items():
    case(op, lambda w, n=op: w.op(n, x="x", axes=[0, -1], keep_dims=False), lambda x, f=function: f(x, (0, 2)), X)
    case(f"{op} kept", lambda w, n=op: w.op(n, x="x", axes=[1], keep_dims=True), lambda x, f=function: f(x, (1,), keepdim=True), X)
case("reduce_sum_square", lambda w: w.op("reduce_sum_square", x="x", axes=[1], keep_dims=True), lambda x: (x * x).sum(1, keepdim=True), X)
case("reduce_l1_norm", lambda w: w.op("reduce_l1_norm", x="x", axes=[1], keep_dims=True), lambda x: x.abs().sum(1, keepdim=True), X)
case("reduce_l2_norm", lambda w: w.op("reduce_l2_norm", x="x", axes=[1], keep_dims=True), lambda x: (x * x).sum(1, keepdim=True).sqrt(), X)
case("reduce_log_sum", lambda w: w.op("reduce_log_sum", x=w.op("abs", x="x"), axes=[1], keep_dims=True), lambda x: x.abs().sum(1, keepdim=True).log(), X)
case("reduce_prod", lambda w: w.op("reduce_prod", x="x", axes=[1], keep_dims=False), lambda x: x.prod(1), X)
case("reduce_argmax", lambda w: w.op("reduce_argmax", x="x", axis=1, keep_dims=False), lambda x: x.argmax(1), X)
case("reduce_argmin", lambda w: w.op("reduce_argmin", x="x", axis=1, keep_dims=True), lambda x: x.argmin(1, keepdim=True), X)
case("cumsum", lambda w: w.op("cumsum", x="x", axis=1, exclusive=False, reverse=False), lambda x: x.cumsum(1), X)
G, B, M, V = weight(4), weight(4), weight(4), np.abs(weight(4)) + 0.5
GT, BT, MT, VT = (torch.tensor(t.astype(np.float16).astype(np.float32)) for t in (G, B, M, V))
EPS = float(np.float16(1e-3))
case("layer_norm", lambda w: w.op("layer_norm", x="x", axes=[-1], gamma=w.weight(G), beta=w.weight(B), epsilon=EPS), lambda x: F.layer_norm(x, (4,), GT, BT, EPS), X)
case("layer_norm plain", lambda w: w.op("layer_norm", x="x", axes=[1, 2], epsilon=EPS), lambda x: F.layer_norm(x, (3, 4), eps=EPS), X)
case("batch_norm", lambda w: w.op("batch_norm", x="x", mean=w.weight(M), variance=w.weight(V), gamma=w.weight(G), beta=w.weight(B), epsilon=EPS), lambda x: F.batch_norm(x, MT, VT, GT, BT, eps=EPS), IMAGE)
case("instance_norm", lambda w: w.op("instance_norm", x="x", gamma=w.weight(G), beta=w.weight(B), epsilon=EPS), lambda x: F.instance_norm(x, weight=GT, bias=BT, eps=EPS), IMAGE)
case("l2_norm", lambda w: w.op("l2_norm", x="x", epsilon=EPS), lambda x: x / (x * x).sum((1, 2, 3), keepdim=True).sqrt(), IMAGE)
case("reshape", lambda w: w.op("reshape", x="x", shape=[4, -1]), lambda x: x.reshape(4, -1), X)
case("transpose", lambda w: w.op("transpose", x="x", perm=[2, 0, -2]), lambda x: x.permute(2, 0, 1), X)
case("expand_dims", lambda w: w.op("expand_dims", x="x", axes=[0, -1]), lambda x: x[None, ..., None], X)
case("squeeze", lambda w: w.op("squeeze", x="x", axes=[1, -1]), lambda x: x[:, 0, :, 0], {"x": (2, 1, 3, 1)})
case("flatten2d", lambda w: w.op("flatten2d", x="x", axis=2), lambda x: x.reshape(6, 4), X)
case("concat", lambda w: w.op("concat", values=("x", "y", "x"), axis=1, interleave=False), lambda x, y: torch.cat([x, y, x], 1), {"x": (2, 3, 4), "y": (2, 1, 4)})
case("stack", lambda w: w.op("stack", values=("x", "x"), axis=1), lambda x: torch.stack([x, x], 1), X)
case("concat interleaved", lambda w: w.op("concat", values=("x", "y"), axis=1, interleave=True), lambda x, y: torch.stack([x, y], 2).reshape(1, 6, 2, 2), {"x": (1, 3, 2, 2), "y": (1, 3, 2, 2)})
case("tile", lambda w: w.op("tile", x="x", reps=[1, 2, 3]), lambda x: x.tile(1, 2, 3), X)
case("reverse", lambda w: w.op("reverse", x="x", axes=[0, 2]), lambda x: x.flip(0, 2), X)
case("upsample", lambda w: w.op("upsample_nearest_neighbor", x="x", scale_factor_height=2, scale_factor_width=3), lambda x: F.interpolate(x, scale_factor=(2, 3)), IMAGE)
case("split", lambda w: w.ops("split", 2, x="x", num_splits=2, axis=-1)[1], lambda x: x[..., 2:], X)
case("split sizes", lambda w: w.ops("split", 3, x="x", split_sizes=[1, 2, 1], axis=2)[1], lambda x: x[..., 1:3], X)
case("pad", lambda w: w.op("pad", x="x", pad=[1, 2], mode="constant", constant_val=0.5), lambda x: F.pad(x, (1, 2), value=0.5), X)
for mode in ("reflect", "replicate"):
    case(f"pad {mode}", lambda w, m=mode: w.op("pad", x="x", pad=[1, 2], mode=m, constant_val=0.0), lambda x, m=mode: F.pad(x, (1, 2), mode=m), X)
case("slice_by_index", lambda w: w.op("slice_by_index", x="x", begin=[0, -2, 1], end=[2, 3, -1]), lambda x: x[:, 1:3, 1:3], X)
case("slice_by_index masks", lambda w: w.op("slice_by_index", x="x", begin=[1, 1, 0], end=[0, 0, 0], stride=[1, 1, 2], begin_mask=[False, False, True], end_mask=[False, True, True], squeeze_mask=[True, False, False]), lambda x: x[1, 1:, ::2], X)
case("slice_by_size", lambda w: w.op("slice_by_size", x="x", begin=[0, 1, 1], size=[2, -1, 2]), lambda x: x[:, 1:, 1:3], X)
case("gather", lambda w: w.op("gather", x="x", indices=[[0, 2], [1, 1]], axis=1, batch_dims=0, validate_indices=False), lambda x: x[:, [[0, 2], [1, 1]]], X)
case("gather_along_axis", lambda w: w.op("gather_along_axis", x="x", indices=[[[0, 1, 2, 0]], [[1, 1, 0, 2]]], axis=1, validate_indices=False), lambda x: x.gather(1, torch.tensor([[[0, 1, 2, 0]], [[1, 1, 0, 2]]])), X)
case("max_pool", lambda w: w.op("max_pool", x="x", kernel_sizes=[3, 2], strides=[2, 2], pad_type="custom", pad=[1, 1, 0, 0], ceil_mode=False), lambda x: F.max_pool2d(x, (3, 2), 2, (1, 0)), IMAGE)
case("max_pool ceil", lambda w: w.op("max_pool", x="x", kernel_sizes=[2, 2], strides=[2, 2], pad_type="custom", pad=[0, 0, 0, 0], ceil_mode=True), lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True), IMAGE)
for exclude in (False, True):
    case(f"avg_pool {exclude}", lambda w, e=exclude: w.op("avg_pool", x="x", kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1], exclude_padding_from_average=e, ceil_mode=False), lambda x, e=exclude: F.avg_pool2d(x, 3, 2, 1, count_include_pad=not e), IMAGE)
case("l2_pool", lambda w: w.op("l2_pool", x="x", kernel_sizes=[2, 2], strides=[1, 1], pad_type="valid", pad=[0, 0, 0, 0], ceil_mode=False), lambda x: F.lp_pool2d(x, 2.0, 2, 1), IMAGE)
case("select", lambda w: w.op("select", cond=w.op("greater", x="x", y="y"), a="x", b="y"), lambda x, y: torch.where(x > y, x, y), {"x": (2, 3), "y": (2, 3)})
for op, function in {"equal": torch.eq, "not_equal": torch.ne, "greater_equal": torch.ge, "less": torch.lt, "less_equal": torch.le}.items():
    case(op, lambda w, n=op: w.op("cast", x=w.op(n, x=w.op("round", x="x"), y=w.op("round", x="y")), dtype="fp16"), lambda x, y, f=function: f(x.round(), y.round()).float(), {"x": (4, 5), "y": (4, 5)})
for op in ("logical_and", "logical_or", "logical_xor"):
    case(op, lambda w, n=op: w.op("cast", x=w.op(n, x=w.op("greater", x="x", y=0.0), y=w.op("logical_not", x=w.op("greater", x="y", y=0.0))), dtype="int32"), lambda x, y, n=op: getattr(torch, n)(x > 0, ~(y > 0)).int(), {"x": (4, 5), "y": (4, 5)})
case("cast int32", lambda w: w.op("cast", x=w.op("mul", x="x", y=5.0), dtype="int32"), lambda x: (5 * x).half().int(), X)
case("cast fp32", lambda w: w.op("cast", x=w.op("exp", x=w.op("cast", x="x", dtype="fp32")), dtype="fp32"), torch.exp, X)
QKV = {"q": (1, 2, 5, 4), "k": (1, 2, 6, 4), "v": (1, 2, 6, 3)}
case("scaled_dot_product_attention", lambda w: w.op("scaled_dot_product_attention", query="q", key="k", value="v"), F.scaled_dot_product_attention, QKV)
case("attention mask", lambda w: w.op("scaled_dot_product_attention", query="q", key="k", value="v", attn_mask="m"), lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m), {**QKV, "m": (5, 6)})
case("attention bool mask", lambda w: w.op("scaled_dot_product_attention", query="q", key="k", value="v", attn_mask=w.op("greater", x="m", y=-1.0)), lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m > -1), {**QKV, "m": (5, 6)})


@pytest.mark.parametrize("name", CASES)
def test_op_equals_pytorch_rounded_once_and_has_the_type_that_core_ml_tools_infer(name: str, tmp_path: Path) -> None:
    build, reference, shapes = CASES[name]
    w = Writer(tmp_path)
    for source, shape in shapes.items():
        w.input(source, *shape)
    program = w.program(build(w))
    (tmp_path / "model.mil").write_text(to_text(program))
    random = np.random.default_rng(len(name))
    inputs = {given: random.normal(size=shape).astype(np.float16) for given, shape in shapes.items()}
    if name == "conv decode":
        inputs["x"][..., 1:] = 0
    (ours,) = files.run(tmp_path / "model.mil", inputs).values()
    theirs = reference(*[torch.tensor(v.astype(np.float32)) for v in inputs.values()]).numpy()
    assert ours.shape == theirs.shape
    # half a unit in the last place of fp16 and fp32 noise; three ops at most lie between
    np.testing.assert_allclose(ours.astype(np.float32), theirs.astype(np.float32), rtol=2**-11 * 1.05, atol=1.5e-6)
    output = program.function().outputs[0]
    if program.function().types()[output].dtype in ("fp16", "fp32", "int32"):
        assert check(program, tmp_path) >= 1


def test_every_op_is_tried() -> None:
    done = {s.op for name in CASES for s in _statements(name)}
    others = {"neg", "identity", "fill", "shape", "constexpr_affine_dequantize", "constexpr_blockwise_shift_scale"}
    assert set(OPS) - done == others


def _statements(name: str) -> Any:
    build, _, shapes = CASES[name]
    w = Writer(Path("."))
    for source, shape in shapes.items():
        w.input(source, *shape)
    build(w)
    return w.statements


def test_neg_identity_shape_and_fill() -> None:
    text = """program(1.3){func main<ios18>(tensor<fp16, [2]> x) {
        tensor<fp16, [2]> i = identity(x=x);
        tensor<fp16, [2]> n = neg(x=i);
        tensor<int32, [1]> s = shape(x=x);
        tensor<fp32, [2]> f = fill(shape=s, value=fp32(2.5));
    } -> (n, s, f);}"""
    found = execute.prepare(parse(text)).run({"x": [1.0, -2.0]})
    assert {n: a.tolist() for n, a in found.items()} == {"n": [-1, 2], "s": [2], "f": [2.5, 2.5]}


def test_compressed_weights_are_spread_out() -> None:
    text = """program(1.3){func main<ios18>(tensor<fp16, [2,4]> x) {
        tensor<fp16, [2,4]> a = constexpr_affine_dequantize()[axis=int32(0), quantized_data=tensor<int8, [2,4]>([[1,2,3,4],[-1,-2,-3,-4]]),
            scale=tensor<fp16, [2]>([0.5,2.0]), zero_point=int8(1)];
        tensor<int8, [2,4]> d = const()[val=tensor<int8, [2,4]>([[1,2,3,4],[-1,-2,-3,-4]])];
        tensor<fp16, [1,2]> s = const()[val=tensor<fp16, [1,2]>([[0.5,2.0]])];
        tensor<fp16, [2,4]> b = constexpr_blockwise_shift_scale(data=d, scale=s);
    } -> (a, b);}"""
    found = execute.prepare(parse(text)).run({"x": np.zeros((2, 4))})
    assert found["a"].tolist() == [[0, 0.5, 1, 1.5], [-4, -6, -8, -10]]
    assert found["b"].tolist() == [[0.5, 1, 6, 8], [-0.5, -1, -6, -8]]


HEAD = "program(1.3){func main<ios18>(tensor<fp16, [2,3]> x, tensor<fp32, [2,3]> f, tensor<int32, [2]> i) {"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("tensor<fp16, [2,3]> y = addd(x=x, y=x)", "this op is not known; did you mean 'add'?"),
        ("tensor<fp16, [2,3]> y = add(x=x, y=z)", "no value is called 'z' before it"),
        ("tensor<fp16, [2,3]> y = add(x=x)", "the argument y is missing"),
        ("tensor<fp16, [2,3]> y = add(x=x, y=f)", "expected numbers of one type"),
        ("tensor<fp16, [3,2]> y = add(x=x, y=x)", "its arguments make tensor<fp16, [2,3]>, the program says tensor<fp16, [3,2]>"),
        ("tensor<fp16, [2,3]> x = add(x=x, y=x)", "'x' is defined twice"),
        ("tensor<fp16, [2,2]> y = matmul(x=x, y=x)", "3 columns on the left, 2 rows on the right"),
        ("tensor<fp16, [2,2]> y = matmul(x=x, y=x, transpose_x=i, transpose_y=bool(true))", "transpose_x must be a constant"),
        ("tensor<fp16, [6]> y = reshape(x=x, shape=tensor<int32, [1]>([7]))", "6 elements"),
        ("tensor<fp16, [2,3]> y = softmax(x=x, axis=int32(2))", "does not name axes"),
        ("tensor<fp16, [200000,300000]> y = tile(x=x, reps=tensor<int32, [2]>([100000,100000]))", "more than the"),
        ("tensor<fp16, [2,3]> y = tile(x=x, reps=tensor<int32, [2]>([100000,100000]))", "the program says"),
        ("tensor<fp16, [2,3]> y = gather(x=x, indices=i, axis=int32(0))", "out of bounds"),
        ("tensor<fp16, [2,3]> y = const()[val=tensor<fp16, [2,3]>(BLOBFILE(path=string(\"@model_path/w.bin\"), offset=uint64(64)))]", "w.bin: cannot be read"),
        ("tensor<fp16, [2,3]> y = const()[name=string(\"y\")]", "expected one result and val="),
    ],
)
def test_what_is_wrong_names_the_statement(statement: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.mil"
    path.write_text(f"{HEAD}{statement};}} -> (x);}}")
    with pytest.raises(UserError) as error:
        files.run(path, {"x": np.ones((2, 3)), "f": np.ones((2, 3)), "i": [0, 7]})
    assert message in str(error.value)


@given(st.sampled_from(sorted(CASES)), st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_exchanged_arguments_give_a_result_or_a_user_error(name: str, random: Random) -> None:
    *before, last = _statements(name)
    others = [v.name for s in before for v in s.results] + list(CASES[name][2])
    odd = [Constant.of(v, t) for v in (-1, 0, 3, [1], [2, 2], [0, -5, 10**9], [[1.5]]) for t in ("int32", "fp16", "bool")]
    args = list(last.args)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(args))
        new = random.choice([*odd, string("valid"), string("fp16"), *others])
        args[at] = (args[at][0], new if random.random() < 0.9 else (new, new))
        if random.random() < 0.1:
            del args[random.randrange(len(args))]
        if not args:
            break
    inputs = {n: np.ones(s) for n, s in CASES[name][2].items()}
    given_types = tuple(Variable(n, TensorType("fp16", s)) for n, s in CASES[name][2].items())
    body = tuple(s for s in before if not isinstance(s.attribute("val"), BlobFile))
    function = Function("main", "ios18", given_types, (*body, replace(last, args=tuple(args))), (last.name,))
    try:
        execute.prepare(parse(to_text(Program((function,))))).run(inputs)
    except UserError as error:
        assert "\n" not in str(error)


def test_inputs_are_checked(tmp_path: Path) -> None:
    program = execute.prepare(parse(f"{HEAD}}} -> (x);}}"))
    good = {"x": np.ones((2, 3)), "f": np.ones((2, 3)), "i": [0, 1]}
    assert program.run(good)["x"].dtype == np.float16
    for wrong in ({**good, "x": np.ones((3, 2))}, {"x": good["x"]}, {**good, "u": 1}, {**good, "x": [["a"] * 3] * 2}):
        with pytest.raises(UserError, match=r"tensor<fp16, \[2,3\]>|the program takes"):
            program.run(wrong)
