"""One or more small files for each operator: its name, and bytes to hold against LiteRT's reference kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from writer import Step, T, constant, write, write_subgraphs

RNG = np.random.default_rng(5)
KINDS = ("float32", "int8", "uint8")


def quant(dtype: str, scale: float = 0.05, zero: int = 3) -> dict[str, Any]:
    """Scale and zero point of an activation; none for floats."""
    if dtype == "float32":
        return {}
    return {"scales": scale, "zeros": zero + 128 if dtype == "uint8" else zero}


def tensor(shape: Any, dtype: str = "int8", scale: float = 0.05, zero: int = 3, **more: Any) -> T:
    return T(shape, dtype, **quant(dtype, scale, zero), **more)


def stored(array: np.ndarray, dtype: str, scale: float = 0.02, zero: int = 0) -> T:
    """Reals as a constant of this dtype."""
    if dtype == "float32":
        return constant(array.astype(np.float32))
    info = np.iinfo(dtype)
    middle = zero + (128 if dtype == "uint8" else 0)
    steps = np.clip(np.round(array / scale) + middle, info.min, info.max).astype(dtype)
    return constant(steps, scale, middle)


def ints(*numbers: int) -> T:
    return constant(np.array(numbers, np.int32))


def one(code: str, dtype: str, given: list[T], result: T, kind: str = "", options: dict[str, Any] | None = None) -> bytes:
    """A file of one operator; tensors without contents are inputs."""
    tensors = [*given, result]
    inputs = [i for i, t in enumerate(given) if t.data is None]
    step = Step(code, range(len(given)), [len(given)], options, kind or "")
    return write(tensors, [step], inputs, [len(given)])


def layers() -> Iterator[tuple[str, bytes]]:
    for dtype in KINDS:
        for same, stride, dilation, act in ((0, 1, 1, 0), (1, 2, 1, 1), (0, 1, 2, 3), (1, 1, 1, 2)):
            h, w, c, o, k = 9, 8, 3, 5, 3
            reach = (k - 1) * dilation + 1
            oh, ow = ((n if same == 1 else n - reach + 1) for n in (h, w))
            oh, ow = -(-oh // stride), -(-ow // stride)
            options = {
                "padding": 0 if same else 1, "strideH": stride, "strideW": stride, "dilationHFactor": dilation,
                "dilationWFactor": dilation, "fusedActivationFunction": act,
            }  # fmt: skip
            for code, weights, out in (
                ("CONV_2D", RNG.uniform(-1, 1, (o, k, k, c)), o),
                ("DEPTHWISE_CONV_2D", RNG.uniform(-1, 1, (1, k, k, 2 * c)), 2 * c),
            ):
                held = stored(weights, dtype, 0.01, 7 if dtype == "uint8" else 0)
                bias = RNG.uniform(-1, 1, out)
                b = constant(bias.astype(np.float32)) if dtype == "float32" else constant((bias / 5e-4).astype(np.int32), 5e-4)
                if code.startswith("DEPTH"):
                    options["depthMultiplier"] = 2
                made = tensor((1, oh, ow, out), dtype, 0.1)
                kind = "DepthwiseConv2DOptions" if code.startswith("DEPTH") else "Conv2DOptions"
                given = {k: v for k, v in options.items() if code.startswith("DEPTH") or k != "depthMultiplier"}
                yield f"{code} {dtype} {act}", one(code, dtype, [tensor((1, h, w, c), dtype), held, b], made, kind, given)
        weights = stored(RNG.uniform(-1, 1, (6, 12)), dtype, 0.01, 5 if dtype == "uint8" else 0)
        bias = RNG.uniform(-1, 1, 6)
        b = constant(bias.astype(np.float32)) if dtype == "float32" else constant((bias / 5e-4).astype(np.int32), 5e-4)
        for act in (0, 1):
            options = {"fusedActivationFunction": act, "keepNumDims": bool(act)}
            made = tensor((2, 3, 6) if act else (6, 6), dtype, 0.1)
            given = [tensor((2, 3, 12), dtype), weights, b]
            yield f"FULLY_CONNECTED {dtype}", one("FULLY_CONNECTED", dtype, given, made, "FullyConnectedOptions", options)
        if dtype == "uint8":
            continue
        for same, stride, shape in ((0, 2, (1, 11, 9, 4)), (1, 2, (1, 10, 8, 4)), (1, 1, (1, 5, 4, 4))):
            options = {"padding": 0 if same else 1, "strideH": stride, "strideW": stride}
            weights = stored(RNG.uniform(-1, 1, (4, 3, 3, 3)), dtype, 0.01)
            given = [ints(*shape), weights, tensor((1, 5, 4, 3), dtype)]
            yield f"TRANSPOSE_CONV {dtype}", one(
                "TRANSPOSE_CONV", dtype, given, tensor(shape, dtype, 0.1), "TransposeConvOptions", options
            )
        for turned in (False, True):
            y = (2, 6, 5) if turned else (2, 5, 6)
            given = [tensor((2, 4, 5), dtype), tensor(y, dtype, 0.03, -4)]
            yield f"BATCH_MATMUL {dtype}", one(
                "BATCH_MATMUL", dtype, given, tensor((2, 4, 6), dtype, 0.2), "BatchMatMulOptions", {"adjY": turned}
            )


def elementwise() -> Iterator[tuple[str, bytes]]:
    x = (1, 4, 5, 6)
    for dtype in KINDS:
        for code in ("ADD", "SUB", "MUL"):
            kind = f"{code.title()}Options"
            for act, other in ((0, x), (1, x), (3, (1, 1, 1, 6))):
                given = [tensor(x, dtype), tensor(other, dtype, 0.03, -9)]
                yield f"{code} {dtype} {act}", one(
                    code, dtype, given, tensor(x, dtype, 0.09, -2), kind, {"fusedActivationFunction": act}
                )
            held = stored(RNG.uniform(-2, 2, (6,)), dtype)
            yield f"{code} {dtype} constant", one(code, dtype, [tensor(x, dtype), held], tensor(x, dtype, 0.09), kind)
        if dtype != "uint8":
            alpha = stored(RNG.uniform(0, 0.5, (1, 1, 6)), dtype, 0.01)
            yield f"PRELU {dtype}", one("PRELU", dtype, [tensor(x, dtype), alpha], tensor(x, dtype, 0.06))
            for code, out in (("LOGISTIC", (1 / 256, -128)), ("TANH", (1 / 128, 0))):
                yield f"{code} {dtype}", one(code, dtype, [tensor(x, dtype)], tensor(x, dtype, *out))
            yield f"HARD_SWISH {dtype}", one("HARD_SWISH", dtype, [tensor(x, dtype)], tensor(x, dtype, 0.03, -118))
            for alpha_ in (0.1, 0.3):
                yield f"LEAKY_RELU {dtype}", one(
                    "LEAKY_RELU", dtype, [tensor(x, dtype)], tensor(x, dtype, 0.04), "LeakyReluOptions", {"alpha": alpha_}
                )
            for code in ("RELU", "RELU6", "RELU_N1_TO_1"):
                yield f"{code} {dtype}", one(code, dtype, [tensor(x, dtype)], tensor(x, dtype, 0.04, -5))
            yield f"ELU {dtype}", one("ELU", dtype, [tensor(x, dtype)], tensor(x, dtype, 0.05, -20))
    for code in ("DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
        kind = {"DIV": "DivOptions", "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions"}.get(code, "")
        held = stored(RNG.uniform(0.5, 2, (6,)), "float32")
        yield f"{code} float32", one(code, "float32", [tensor(x, "float32"), held], tensor(x, "float32"), kind)
    for code in ("EXP", "SQRT", "ABS", "NEG", "SIN", "COS", "FLOOR", "CEIL", "SQUARE"):
        yield f"{code} float32", one(code, "float32", [tensor(x, "float32")], tensor(x, "float32"))
    yield "GELU float32", one("GELU", "float32", [tensor(x, "float32")], tensor(x, "float32"), "GeluOptions")


def reductions() -> Iterator[tuple[str, bytes]]:
    x = (1, 6, 5, 4)
    for dtype in ("float32", "int8"):
        for axes, keep in (((1, 2), True), ((1, 2), False), ((3,), False), ((1,), True), ((1, 3), False), ((-1, -2), True)):
            gone = {a % 4 for a in axes}
            shape = tuple(1 if a in gone else n for a, n in enumerate(x) if keep or a not in gone)
            for code in ("MEAN", "SUM", "REDUCE_MAX"):
                out = {"MEAN": (0.03, -7), "SUM": (1.7, 5), "REDUCE_MAX": (0.05, 3)}[code]
                yield f"{code} {dtype} {axes}", one(
                    code, dtype, [tensor(x, dtype), ints(*axes)], tensor(shape, dtype, *out), "ReducerOptions", {"keepDims": keep}
                )
        for beta in (1.0, 0.5):
            yield f"SOFTMAX {dtype}", one(
                "SOFTMAX", dtype, [tensor((3, 10), dtype)], tensor((3, 10), dtype, 1 / 256, -128), "SoftmaxOptions", {"beta": beta}
            )
        for axis in (-1, 1):
            shape = (1, 6, 5) if axis == -1 else (1, 5, 4)
            yield f"ARG_MAX {dtype}", one(
                "ARG_MAX", dtype, [tensor(x, dtype), ints(axis)], T(shape, "int32"), "ArgMaxOptions", {"outputType": 2}
            )
    for dtype in KINDS:
        for code in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            for same, act in ((0, 0), (1, 1)):
                options = {
                    "padding": 0 if same else 1, "strideH": 2, "strideW": 1, "filterHeight": 3, "filterWidth": 2,
                    "fusedActivationFunction": act,
                }  # fmt: skip
                shape = (1, 3, 5, 4) if same else (1, 2, 4, 4)
                yield f"{code} {dtype}", one(code, dtype, [tensor(x, dtype)], tensor(shape, dtype), "Pool2DOptions", options)


def moves() -> Iterator[tuple[str, bytes]]:
    x = (1, 4, 6, 3)
    for dtype in ("float32", "int8"):
        def same(code: str, given: list[T], shape: Any, kind: str = "", options: Any = None, dtype: str = dtype) -> tuple[str, bytes]:
            return f"{code} {dtype}", one(code, dtype, given, tensor(shape, dtype), kind, options)

        here = tensor(x, dtype)
        yield same("PAD", [here, constant(np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32))], (1, 7, 7, 3))
        fill = stored(np.array([0.7]), dtype, 0.05, 3)
        fill.shape, fill.data = (), fill.data.reshape(())
        yield same("PADV2", [here, constant(np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32)), fill], (1, 7, 7, 3))
        for mode in (0, 1):
            pads = constant(np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32))
            yield same("MIRROR_PAD", [here, pads], (1, 7, 9, 3), "MirrorPadOptions", {"mode": mode})
        yield same("RESHAPE", [here, ints(1, -1, 3)], (1, 24, 3), "ReshapeOptions")
        yield same("SQUEEZE", [here], (4, 6, 3), "SqueezeOptions", {"squeezeDims": [0]})
        yield same("EXPAND_DIMS", [here, ints(2)], (1, 4, 1, 6, 3))
        yield same("TRANSPOSE", [here, ints(0, 2, 3, 1)], (1, 6, 3, 4))
        yield same("SLICE", [here, ints(0, 1, 2, 0), ints(1, 2, -1, 2)], (1, 2, 4, 2))
        yield same(
            "STRIDED_SLICE", [here, ints(0, 1, 0, 0), ints(1, 4, 6, 2), ints(1, 2, 3, 1)], (1, 2, 2, 2), "StridedSliceOptions"
        )
        yield same(
            "STRIDED_SLICE", [here, ints(0, -2, 0, 0), ints(0, 0, 5, 3), ints(1, 1, 2, 1)], (6 // 2, 3), "StridedSliceOptions",
            {"shrinkAxisMask": 3, "endMask": 4},
        )
        yield same("CONCATENATION", [here, tensor((1, 4, 6, 2), dtype)], (1, 4, 6, 5), "ConcatenationOptions", {"axis": 3})
        yield same("PACK", [here, tensor(x, dtype)], (1, 2, 4, 6, 3), "PackOptions", {"axis": 1, "valuesCount": 2})
        yield same("GATHER", [here, ints(2, 0, 5)], (1, 4, 3, 3), "GatherOptions", {"axis": 2})
        for code, shape in (("RESIZE_NEAREST_NEIGHBOR", (7, 9)), ("RESIZE_BILINEAR", (7, 9)), ("RESIZE_BILINEAR", (2, 3))):
            kind = "ResizeNearestNeighborOptions" if "NEAREST" in code else "ResizeBilinearOptions"
            for options in ({}, {"alignCorners": True}, {"halfPixelCenters": True}):
                yield same(code, [here, ints(*shape)], (1, *shape, 3), kind, options)
        yield same("SPACE_TO_DEPTH", [here], (1, 2, 3, 12), "SpaceToDepthOptions", {"blockSize": 2})
        yield same("DEPTH_TO_SPACE", [tensor((1, 2, 3, 8), dtype)], (1, 4, 6, 2), "DepthToSpaceOptions", {"blockSize": 2})
        for code, given, sizes in (
            ("SPLIT", [ints(3), here], (1, 1, 1)), ("SPLIT_V", [here, ints(1, 5), ints(2)], (1, 5)), ("UNPACK", [here], (1,) * 4)
        ):  # fmt: skip
            kind = {"SPLIT": "SplitOptions", "SPLIT_V": "SplitVOptions", "UNPACK": "UnpackOptions"}[code]
            options = {"axis": 1, "num": 4} if code == "UNPACK" else {"numSplits": len(sizes)}
            parts = []
            for size in sizes:
                shape = {"SPLIT": (1, 4, 6, size), "SPLIT_V": (1, 4, size, 3), "UNPACK": (1, 6, 3)}[code]
                parts.append(tensor(shape, dtype))
            tensors = [*given, *parts]
            outputs = range(len(given), len(tensors))
            step = Step(code, range(len(given)), outputs, options, kind)
            yield f"{code} {dtype}", write(tensors, [step], [i for i, t in enumerate(given) if t.data is None], outputs)
    for a, b in (("float32", "int8"), ("float32", "uint8"), ("int8", "int8"), ("uint8", "int8"), ("int8", "uint8")):
        yield f"QUANTIZE {a} {b}", one("QUANTIZE", a, [tensor((2, 30), a)], tensor((2, 30), b, 0.03, 7), "QuantizeOptions")
    for a in ("int8", "uint8"):
        yield f"DEQUANTIZE {a}", one("DEQUANTIZE", a, [tensor((2, 30), a)], T((2, 30), "float32"), "DequantizeOptions")
    shape = [tensor((1, 4, 6), "float32"), T((3,), "int32"), ints(0), ints(1), ints(1), T((), "int32"), ints(24)]
    shape += [T((2,), "int32"), T((1, 24), "float32")]
    shape[6] = constant(np.array(24, np.int32))
    yield "SHAPE folded", write(
        shape,
        [
            Step("SHAPE", [0], [1], {"outType": 2}, "ShapeOptions"),
            Step("STRIDED_SLICE", [1, 2, 3, 4], [5], {"shrinkAxisMask": 1}, "StridedSliceOptions"),
            Step("PACK", [5, 6], [7], {"valuesCount": 2}, "PackOptions"),
            Step("RESHAPE", [0, 7], [8], {}, "ReshapeOptions"),
        ],
        [0],
        [8],
    )


def states() -> Iterator[tuple[str, bytes]]:
    """Variables (streaming), and recurrent layers that are in no reference file."""
    x, zeros = T((1, 4), "float32"), constant(np.zeros((1, 4), np.float32))
    handle, read, total = T((), "resource"), T((1, 4), "float32"), T((1, 4), "float32")
    main = (
        [x, handle, read, total],
        [
            Step("CALL_ONCE", [], [], {"initSubgraphIndex": 1}, "CallOnceOptions"),
            Step("VAR_HANDLE", [], [1], {"sharedName": b"kept"}, "VarHandleOptions"),
            Step("READ_VARIABLE", [1], [2], {}, "ReadVariableOptions"),
            Step("ADD", [0, 2], [3], {}, "AddOptions"),
            Step("ASSIGN_VARIABLE", [1, 3], [], {}, "AssignVariableOptions"),
        ],
        [0],
        [3],
    )
    start = (
        [T((), "resource"), zeros],
        [
            Step("VAR_HANDLE", [], [0], {"sharedName": b"kept"}, "VarHandleOptions"),
            Step("ASSIGN_VARIABLE", [0, 1], [], {}, "AssignVariableOptions"),
        ],
        [],
        [],
    )
    yield "VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE CALL_ONCE float32", write_subgraphs([main, start])
    for act in (0, 1):
        tensors = [
            T((1, 5), "float32"), constant(RNG.uniform(-1, 1, (6, 5)).astype("f")), constant(RNG.uniform(-1, 1, (6, 4)).astype("f")),
            constant(RNG.uniform(-1, 1, 3).astype("f")), T((1, 24), "float32", variable=True), T((1, 3), "float32"),
        ]  # fmt: skip
        step = Step("SVDF", range(5), [5], {"rank": 2, "fusedActivationFunction": act}, "SVDFOptions")
        yield "SVDF float32", write(tensors, [step], [0], [5])


def all_cases() -> list[tuple[str, bytes]]:
    return [*layers(), *elementwise(), *reductions(), *moves(), *states()]
