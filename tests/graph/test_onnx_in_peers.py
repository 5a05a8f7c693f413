"""Single operators with drawn attributes, in several opsets, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ValueInfoProto, helper, numpy_helper
from onnx_backend import difference

from netwright.graph.onnx import from_onnx

Array = np.ndarray
DRAWS = 12


def model(
    op: str, inputs: Sequence[Array | None], outputs: int = 1, opset: int = 17, fixed: Sequence[int] = (), domain: str = "",
    more: dict[str, Any] | None = None, **attributes: Any,
) -> Any:  # fmt: skip
    """One node; operands numbered in `fixed` are initialisers."""
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], name="node", domain=domain, **attributes, **(more or {}))
    given = [(n, x) for n, x in zip(names, inputs) if x is not None]
    kept = {f"x{i}" for i in fixed}
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in given if n not in kept],
        [ValueInfoProto(name=f"y{i}") for i in range(outputs)],
        [numpy_helper.from_array(x, n) for n, x in given if n in kept],
    )
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def runtime(proto: Any, feeds: dict[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def compare(op: str, inputs: Sequence[Array | None], steps: int | None = None, **how: Any) -> bool:
    """Whether ONNX Runtime has a kernel; where it has one, the results must agree."""
    proto = model(op, inputs, **how)
    free = {i.name for i in proto.graph.input}
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if f"x{i}" in free}
    try:
        theirs = runtime(proto, feeds)
    except Exception as error:  # each build of ONNX Runtime lacks other kernels
        if not any(w in str(error) for w in ("NOT_IMPLEMENTED", "not support", "INVALID_GRAPH", "FAIL", "INVALID_ARGUMENT", "non-negative")):
            raise
        return False
    graph = from_onnx(proto)
    ours = graph.run(*(feeds[v.name] for v in graph.inputs))
    if steps is None:
        assert not difference(ours, theirs), (difference(ours, theirs), op, [x.shape for x in inputs if x is not None], str(how))
    else:
        apart = np.abs(ours[0].astype(int) - theirs[0].astype(int))
        assert ours[0].dtype == theirs[0].dtype and apart.max() <= steps and (apart > 0).mean() < 0.02, (apart.max(), how)
    return True


def real(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def test_softmax_before_opset_13_is_over_all_later_axes() -> None:
    rng = np.random.default_rng(0)
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for opset in (7, 11, 12, 13):
            for axis in (0, 1, 2) if opset < 11 else (0, 1, 2, -1, -2):
                assert compare(op, [real(rng, 2, 3, 4)], opset=opset, axis=axis)


@pytest.mark.parametrize("op, gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_operators_unrolled(op: str, gates: int) -> None:
    rng = np.random.default_rng(1)
    ran = 0
    for _ in range(3 * DRAWS):
        steps, batch, features, hidden = (int(k) for k in rng.integers(1, 6, 4))
        way = str(rng.choice(["forward", "reverse", "bidirectional"]))
        d = 2 if way == "bidirectional" else 1
        inputs: list[Array | None] = [
            real(rng, steps, batch, features), real(rng, d, gates * hidden, features), real(rng, d, gates * hidden, hidden)
        ]  # fmt: skip
        inputs.append(real(rng, d, 2 * gates * hidden) if rng.random() < 0.7 else None)
        inputs.append(np.full(batch, steps, np.int32) if rng.random() < 0.3 else None)
        inputs.append(real(rng, d, batch, hidden) if rng.random() < 0.5 else None)
        attributes: dict[str, Any] = {"hidden_size": hidden, "direction": way}
        if op == "LSTM":
            inputs.append(real(rng, d, batch, hidden) if rng.random() < 0.5 else None)
            inputs.append(real(rng, d, 3 * hidden) if rng.random() < 0.4 else None)
        if op == "GRU":
            attributes["linear_before_reset"] = int(rng.integers(2))
        if rng.random() < 0.3:
            attributes["clip"] = 0.8
        if rng.random() < 0.4:
            names = ["Sigmoid", "Tanh", "Relu"]
            attributes["activations"] = [str(rng.choice(names)) for _ in range({"LSTM": 3, "GRU": 2, "RNN": 1}[op] * d)]
        fixed = (1, 2, 3, 4) if rng.random() < 0.7 else (4,)
        while inputs and inputs[-1] is None:
            inputs.pop()
        fixed = tuple(i for i in fixed if i < len(inputs) and inputs[i] is not None)
        ran += compare(op, inputs, outputs=3 if op == "LSTM" else 2, opset=14, fixed=fixed, **attributes)
    assert ran > DRAWS


def test_recurrent_weights_are_trainable_parameters_under_their_names() -> None:
    rng = np.random.default_rng(2)
    inputs = [real(rng, 3, 1, 4), real(rng, 1, 20, 4), real(rng, 1, 20, 5), real(rng, 1, 40)]
    graph = from_onnx(model("LSTM", inputs, outputs=3, opset=14, fixed=(1, 2, 3), hidden_size=5))
    assert [n.op.name for n in graph.nodes].count("lstm_cell") == 3
    assert {p.value.name for p in graph.params if p.trainable} == {"x1", "x2", "x3"}


def test_resize_in_every_mode() -> None:
    rng = np.random.default_rng(3)
    ran = 0
    for _ in range(20 * DRAWS):
        x = real(rng, 1, 2, *(int(k) for k in rng.integers(2, 8, 2)))
        mode = str(rng.choice(["nearest", "linear", "cubic"]))
        rules = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
        how: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": str(rng.choice(rules))}
        if mode == "nearest":
            how["nearest_mode"] = str(rng.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
        if mode == "cubic":
            how["exclude_outside"] = int(rng.integers(2))
        sizes = np.array([1, 2, *rng.integers(1, 15, 2)], np.int64)
        # for align_corners ONNX's own tests take that before rounding, ONNX Runtime that after it
        if rng.random() < 0.5 or how["coordinate_transformation_mode"] == "align_corners":
            ran += compare("Resize", [x, None, None, sizes], opset=19, fixed=(3,), **how)
        else:
            scales = np.array([1, 1, *rng.choice([0.5, 0.75, 1.0, 1.5, 2.0, 3.0], 2)], np.float32)
            ran += compare("Resize", [x, None, scales], opset=19, fixed=(2,), **how)
    assert ran > 10 * DRAWS


def test_pools_with_padding_dilation_and_ceil_mode() -> None:
    rng = np.random.default_rng(4)
    ran = 0
    for _ in range(12 * DRAWS):
        rank = int(rng.integers(1, 4))
        x = real(rng, 2, 3, *(int(k) for k in rng.integers(6, 10, rank)))
        kernel = [int(k) for k in rng.integers(1, 4, rank)]
        how: dict[str, Any] = {"kernel_shape": kernel, "strides": [int(k) for k in rng.integers(1, 4, rank)]}
        op = str(rng.choice(["MaxPool", "AveragePool", "LpPool"]))
        if rng.random() < 0.7:
            how["pads"] = [int(rng.integers(0, k)) for k in kernel * 2]
            how["ceil_mode"] = int(rng.integers(2))
            how["dilations"] = [int(k) for k in rng.integers(1, 3, rank)]
        else:
            how["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
            how["strides"] = [min(s, k) for s, k in zip(how["strides"], kernel)]  # others pad less than nothing there
        if op == "AveragePool":
            how["count_include_pad"] = int(rng.integers(2))
        ran += compare(op, [x], opset=int(rng.choice([19, 22])), **how)
    assert ran > 6 * DRAWS


def test_convolutions_over_one_to_three_dimensions() -> None:
    rng = np.random.default_rng(5)
    ran = 0
    for _ in range(8 * DRAWS):
        rank, groups = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3]))
        op = "Conv" if rank == 3 or rng.random() < 0.6 else "ConvTranspose"
        channels, out = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
        kernel = [int(k) for k in rng.integers(1, 4, rank)]
        stride, dilation = [int(k) for k in rng.integers(1, 4, rank)], [int(k) for k in rng.integers(1, 3, rank)]
        x = real(rng, 2, channels, *(int(k) for k in rng.integers(6, 10, rank)))
        w = real(rng, out, channels // groups, *kernel) if op == "Conv" else real(rng, channels, out // groups, *kernel)
        how: dict[str, Any] = {"strides": stride, "group": groups, "kernel_shape": kernel}
        if rng.random() < 0.5:
            how["dilations"] = dilation
            how["pads"] = [int(k) for k in rng.integers(0, 3, 2 * rank)]
        elif op == "Conv":
            how["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        else:
            how["output_padding"] = [int(rng.integers(0, s)) for s in stride]
        inputs = [x, w, real(rng, out)] if rng.random() < 0.6 else [x, w]
        ran += compare(op, inputs, opset=11, fixed=(1, 2)[: len(inputs) - 1], **how)
    assert ran > 5 * DRAWS


def test_slices_pads_and_splits_in_old_and_new_opsets() -> None:
    rng = np.random.default_rng(6)
    x = real(rng, 5, 6, 7)
    for _ in range(4 * DRAWS):
        axes = rng.permutation(3)[: rng.integers(1, 4)]
        starts, ends = rng.integers(-8, 8, axes.size), rng.integers(-8, 8, axes.size)
        steps = rng.choice([-3, -2, -1, 1, 2, 3], axes.size)
        operands = [np.asarray(v, np.int64) for v in (starts, ends, axes, steps)]
        compare("Slice", [x, *operands], opset=13, fixed=(1, 2, 3, 4))
        listed = {"starts": starts.tolist(), "ends": ends.tolist(), "axes": axes.tolist()}
        compare("Slice", [x], opset=9, **listed)
        pads, mode = rng.integers(-2, 4, 6), str(rng.choice(["constant", "reflect", "edge"]))
        operands = [pads.astype(np.int64), np.float32(1.5).reshape(())]
        compare("Pad", [x, *operands], opset=13, fixed=(1, 2), mode=mode)
        compare("Pad", [x], opset=9, pads=pads.tolist(), value=1.5, mode=mode)
    for opset, sizes in ((11, None), (13, None), (18, None)):
        how = {"num_outputs": 3} if opset == 18 else {}
        assert compare("Split", [x], outputs=3, opset=opset, axis=1, fixed=(), **how), sizes


def test_reductions_in_old_and_new_opsets() -> None:
    rng = np.random.default_rng(7)
    x = rng.uniform(0.5, 2, (3, 4, 5)).astype(np.float32)
    for op in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"):
        for axes in ([0], [1, 2], [-1], None):
            for keep in (0, 1):
                given = {} if axes is None else {"axes": axes}
                assert compare(f"Reduce{op}", [x], opset=11, keepdims=keep, **given)
                operands = [] if axes is None else [np.array(axes, np.int64)]
                assert compare(f"Reduce{op}", [x, *operands], opset=18, fixed=(1,) if operands else (), keepdims=keep)


def test_global_lp_pool() -> None:
    assert compare("GlobalLpPool", [real(np.random.default_rng(8), 2, 3, 5, 4)], opset=13, p=3)


def integers(rng: np.random.Generator, dtype: str, *shape: int) -> Array:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def scale(rng: np.random.Generator, *shape: int) -> Array:
    return rng.uniform(0.01, 0.05, shape).astype(np.float32)


def test_quantised_convolutions_and_products() -> None:
    rng = np.random.default_rng(9)
    for dtype in ("uint8", "int8"):
        for channels in ((), (6,)):
            x, w = integers(rng, dtype, 1, 4, 7, 6), integers(rng, "int8", 6, 4, 3, 3)
            bias = rng.integers(-500, 500, 6).astype(np.int32)
            zero = np.zeros(channels, np.int8)
            inputs = [x, scale(rng), integers(rng, dtype), w, scale(rng, *channels), zero, 40 * scale(rng), integers(rng, dtype), bias]
            assert compare("QLinearConv", inputs, steps=1, fixed=range(1, 9), opset=13, pads=[1, 1, 1, 1], strides=[2, 1])
        a, b = integers(rng, dtype, 5, 8), integers(rng, dtype, 8, 6)
        zeros = [integers(rng, dtype) for _ in range(3)]
        inputs = [a, scale(rng), zeros[0], b, scale(rng), zeros[1], 20 * scale(rng), zeros[2]]
        assert compare("QLinearMatMul", inputs, steps=1, fixed=(1, 2, 4, 5, 6, 7), opset=13)
        assert compare("MatMulInteger", [integers(rng, "uint8", 5, 8), b, np.uint8(7).reshape(()), zeros[1]], fixed=(2, 3), opset=13)
    kernels = integers(rng, "uint8", 6, 4, 3, 3)
    assert compare("ConvInteger", [integers(rng, "uint8", 1, 4, 7, 6), kernels, np.uint8(3).reshape(())], fixed=(1, 2), opset=13)
    assert compare("DynamicQuantizeLinear", [real(rng, 4, 9)], outputs=3, opset=13)


def test_operators_of_onnx_runtimes_quantiser() -> None:
    rng = np.random.default_rng(10)
    how: dict[str, Any] = {"domain": "com.microsoft", "steps": 1, "opset": 13}
    for dtype in ("uint8", "int8"):
        x, y = integers(rng, dtype, 2, 4, 5, 6), integers(rng, dtype, 2, 4, 5, 6)
        q = [(scale(rng), integers(rng, dtype)) for _ in range(3)]
        for op in ("QLinearAdd", "QLinearMul"):
            out = (np.float32(0.1 if op == "QLinearAdd" else 0.2).reshape(()), q[2][1])
            assert compare(op, [x, *q[0], y, *q[1], *out], fixed=(1, 2, 4, 5, 6, 7), **how)
        for op in ("QLinearSigmoid", "QLinearLeakyRelu"):
            assert compare(op, [x, *q[0], *q[1]], fixed=(1, 2, 3, 4), **how)
        assert compare("QLinearGlobalAveragePool", [x, *q[0], *q[1]], fixed=(1, 2, 3, 4), **how)
        assert compare("QLinearAveragePool", [x, *q[0], *q[1]], fixed=(1, 2, 3, 4), kernel_shape=[2, 2], **how)
        assert compare("QLinearConcat", [*q[2], x, *q[0], y, *q[1]], fixed=(0, 1, 3, 4, 6, 7), axis=1, **how)


def test_operators_that_onnx_runtime_fuses() -> None:
    rng = np.random.default_rng(11)
    x, b = real(rng, 2, 3, 8), real(rng, 8)
    how: dict[str, Any] = {"domain": "com.microsoft", "opset": 13}
    assert compare("Gelu", [x], **how) and compare("QuickGelu", [x], **how)
    assert compare("FastGelu", [x, b], **how) and compare("BiasGelu", [x, b], **how)
    assert compare("FusedMatMul", [x, real(rng, 2, 5, 8)], transB=1, alpha=0.5, **how)
    assert compare("SkipLayerNormalization", [x, real(rng, 2, 3, 8), b, b, b], **how)
    image, w = real(rng, 1, 3, 6, 6), real(rng, 4, 3, 3, 3)
    for activation, numbers in (("Relu", None), ("LeakyRelu", [0.1]), ("Clip", [-0.5, 0.5])):
        given = {"activation_params": numbers} if numbers else {}
        assert compare("FusedConv", [image, w, b[:4]], fixed=(1, 2), activation=activation, **given, **how)
    assert compare("FusedGemm", [x[0], real(rng, 8, 5), b[:5]], activation="Relu", **how)
    a, weights = integers(rng, "uint8", 5, 8), integers(rng, "int8", 8, 6)
    zeros = [np.uint8(9).reshape(()), np.int8(0).reshape(())]
    assert compare("MatMulIntegerToFloat", [a, weights, scale(rng), scale(rng), *zeros], fixed=(1, 2, 3, 4, 5), **how)
    assert compare("DynamicQuantizeMatMul", [x[0], weights, scale(rng), zeros[1]], fixed=(1, 2, 3), **how)
    bias = rng.integers(-500, 500, 6).astype(np.int32)
    inputs = [a, scale(rng), zeros[0], weights, scale(rng), zeros[1], bias, 20 * scale(rng), zeros[0]]
    assert compare("QGemm", inputs, steps=1, fixed=range(1, 9), **how)
    inputs = [a, scale(rng), zeros[0], np.float32(1 / 256).reshape(()), np.zeros((), np.uint8)]
    assert compare("QLinearSoftmax", inputs, steps=1, fixed=(1, 2, 3, 4), more={"opset": 13, "axis": -1}, **how)
