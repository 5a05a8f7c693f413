"""Model files are hostile data: whatever their bytes, they are read or refused in one line, quickly and in little memory.

`python -m benchmarks.fuzz` does the same with ten thousand files.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from operators import ints, one, tensor
from writer import Step, T, constant, write

from benchmarks.calibrate import CORES, FAMILIES
from benchmarks.damage import corpus, damaged
from benchmarks.fuzz import BAD, BYTES, SECONDS, peak, run
from netwright import device, load
from netwright.devices.cortex_m.cost import coefficients
from netwright.errors import UserError
from netwright.graph.tflite import from_tflite


def handled(data: bytes, words: str = "") -> None:
    """Refused in one line that holds `words`; without them it may load as well, and is checked then."""
    start, before, line = time.process_time(), peak(), ""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            graph = from_tflite(data)
            assert str(graph)
            for name in ("cortex-m4", "host"):
                device(name).check(graph)
        except UserError as error:
            line = str(error)
            assert line and line.isprintable() and len(line) < 1000
    assert time.process_time() - start < SECONDS
    assert peak() - before < BYTES
    assert words in line, line


def test_some_hundred_damaged_files_of_each_operator() -> None:
    bases = corpus(None, ("tflite",))
    rows, failures = run(bases, 400, seed=1, quiet=True)
    assert not failures
    verdicts = rows["tflite"].verdicts
    assert verdicts["loaded"] > 40 and verdicts["refused"] > 200


def test_some_hundred_damaged_reference_files(shared_data: Path) -> None:
    bases = {"tflite": [base for base in corpus(shared_data, ("tflite",))["tflite"] if base.name.endswith(".tflite")]}
    assert len(bases["tflite"]) > 20
    rows, failures = run(bases, 300, seed=2, quiet=True)
    assert not failures
    assert not any(rows["tflite"].verdicts[verdict] for verdict in BAD)


def test_damage_is_the_same_for_the_same_seed() -> None:
    bases = corpus(None, ("tflite",))["tflite"]
    assert [damaged(bases, 3, i)[1] for i in range(20)] == [damaged(bases, 3, i)[1] for i in range(20)]
    assert damaged(bases, 3, 0)[1] != damaged(bases, 4, 0)[1]


def resized(code: str, kind: str, dtype: str, size: int) -> bytes:
    given = [tensor((1, 4, 6, 3), dtype), ints(size, size)]
    return one(code, dtype, given, tensor((1, 4, 6, 3), dtype), kind)


def mirrored(size: int) -> bytes:
    pads = constant(np.array([[0, 0], [1, 0], [0, 0], [0, 0]], np.int32))
    return one("MIRROR_PAD", "int8", [tensor((1, size, 1, 1)), pads], tensor((1, size, 1, 1)), "MirrorPadOptions")


def convolution(size: int, stride: int = 1) -> bytes:
    weights = constant(np.ones((1, 3, 3, 1), np.int8), 0.01)
    bias = constant(np.zeros(1, np.int32), 5e-4)
    options = {"padding": 1, "strideH": stride, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1}
    out = tensor((1, size, size, 1), "int8", 0.1)
    return one("CONV_2D", "int8", [tensor((1, size, size, 1)), weights, bias], out, "Conv2DOptions", options)


def pooled(size: int, kernel: int) -> bytes:
    options = {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": kernel, "filterWidth": kernel}
    x = tensor((1, size, size, 1))
    return one("AVERAGE_POOL_2D", "int8", [x], x, "Pool2DOptions", options)


LARGE = 2**31 - 1


@pytest.mark.parametrize(
    "data, words",
    [
        (resized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", "int8", LARGE), f"to {LARGE} x {LARGE}"),
        (resized("RESIZE_BILINEAR", "ResizeBilinearOptions", "int8", LARGE), f"to {LARGE} x {LARGE}"),
        (resized("RESIZE_BILINEAR", "ResizeBilinearOptions", "float32", 1 << 12), ""),
        (mirrored(1 << 29), "more along an axis of size"),
        (convolution(1 << 15), ""),
        (convolution(1 << 15, LARGE), ""),
        (pooled(1 << 14, 1 << 14), ""),
        (pooled(1 << 14, LARGE), ""),
        (write([T((1 << 20, 1 << 20), "float32")], [], [0], [0]), "is larger than"),
        (write([T([1] * 5000, "float32")], [], [0], [0]), "5,000 dimensions"),
        (one("PACK", "int8", [tensor((1 << 29,)), tensor((1 << 29,)), tensor((1 << 29,))], tensor((3, 4)), "PackOptions",
             {"valuesCount": 3}), "elements"),
    ],
    ids=lambda v: "" if isinstance(v, bytes) else v or "any",
)  # fmt: skip
def test_sizes_are_checked_before_memory_is_taken(data: bytes, words: str) -> None:
    handled(data, words)


def test_constants_computed_over_and_over_end() -> None:
    """Each CAST of a small file makes eight times its constant anew."""
    tensors = [constant(np.zeros(100_000, np.int8)), *(T((100_000,), "int64") for _ in range(3000))]
    steps = [Step("CAST", [0], [i], {}, "CastOptions") for i in range(1, 3001)]
    handled(write(tensors, steps, [], [3000]), "takes too much memory")
    tensors = [ints(*[1 << 12] * 2), constant(np.array(1, np.int64)), *(T((1,), "int64") for _ in range(100))]
    steps = [Step("FILL", [0, 1], [i], {}, "FillOptions") for i in range(2, 102)]
    handled(write(tensors, steps, [], [101]), "takes too much memory")
    tensors = [constant(np.zeros(200_000, np.float32)), T((3000, 200_000), "float32")]
    step = Step("PACK", [0] * 3000, [1], {"valuesCount": 3000}, "PackOptions")
    handled(write(tensors, [step], [], [1]))


def test_weights_used_over_and_over_end() -> None:
    """A layer holds its weights turned: a thousand layers of one tensor are a thousand copies."""
    weights = constant(np.zeros((500, 3, 3, 50), np.float32))
    tensors = [T((1, 3, 3, 50), "float32"), weights, *(T((1, 1, 1, 500), "float32") for _ in range(1000))]
    options = {"padding": 1, "strideH": 1, "strideW": 1}
    steps = [Step("CONV_2D", [0, 1, -1], [i], options, "Conv2DOptions") for i in range(2, 1002)]
    handled(write(tensors, steps, [0], list(range(2, 1002))), "takes too much memory")


def test_a_file_whose_parts_are_shared_over_and_over_is_refused() -> None:
    """Ten thousand references to one subgraph of two thousand tensors: a small file, read for ever."""
    graph = schema.SubGraphT()
    made = schema.TensorT()
    made.shape = [1, 2, 3]
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [made] * 2000, [0], [0], []
    builder = flatbuffers.Builder(1024)
    inner = graph.Pack(builder)
    schema.ModelStartSubgraphsVector(builder, 10_000)
    for _ in range(10_000):
        builder.PrependUOffsetTRelative(inner)
    subgraphs = builder.EndVector()
    schema.BufferStart(builder)
    buffer = schema.BufferEnd(builder)
    schema.ModelStartBuffersVector(builder, 1)
    builder.PrependUOffsetTRelative(buffer)
    buffers = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, subgraphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    handled(bytes(builder.Output()), "shared over and over")


@pytest.mark.parametrize(
    "scale, zero, words",
    [
        (0.0, 0, "has scale 0.0"), (-1.0, 0, "has scale -1.0"), (np.inf, 0, "has scale inf"), (np.nan, 0, "has scale nan"),
        (0.1, 1000, "has zero point 1000"), ([0.1, 0.2], 0, "has 2 scales, not one"), ([], 0, ""),
    ],
)  # fmt: skip
def test_impossible_quantisations_are_refused(scale: object, zero: int, words: str) -> None:
    handled(one("RELU", "int8", [T((1, 4), "int8", scale, zero)], T((1, 4), "int8", 0.1, 0)), words)
    handled(one("ADD", "int8", [tensor((1, 4)), tensor((1, 4))], T((1, 4), "int8", scale, zero), "AddOptions"), words)


@pytest.mark.parametrize("scale", [np.nan, np.inf, -0.5])
def test_impossible_scales_of_weights_are_refused(scale: float) -> None:
    held = constant(np.ones((4, 4), np.int8), [0.1, scale, 0.1, 0.1])
    given = [tensor((1, 4)), held, constant(np.zeros(4, np.int32), 5e-4)]
    handled(one("FULLY_CONNECTED", "int8", given, tensor((1, 4)), "FullyConnectedOptions"), "negative or no numbers")


@pytest.mark.parametrize("code", ["LEAKY_RELU", "RELU", "RELU6", "HARD_SWISH", "LOGISTIC", "TANH", "ELU", "GELU", "ADD"])
def test_scales_too_far_apart_say_so(code: str) -> None:
    kind = {"LEAKY_RELU": "LeakyReluOptions", "GELU": "GeluOptions", "ADD": "AddOptions"}.get(code, "")
    given = [T((1, 4), "int8", 1e30, 0)] * (2 if code == "ADD" else 1)
    handled(one(code, "int8", given, T((1, 4), "int8", 1e-30, 0), kind))


def test_what_is_no_list_of_integers_says_so() -> None:
    real = constant(np.float32([[0, 0], [1, 1]]))
    handled(one("PAD", "int8", [tensor((1, 4)), real], tensor((1, 6))), "not pairs of integers")
    handled(one("TRANSPOSE", "int8", [tensor((1, 4)), constant(np.float32([1, 0]))], tensor((4, 1))), "not integers")
    handled(one("TRANSPOSE", "int8", [tensor((1, 4)), ints(1, 7)], tensor((4, 1))), "transpose (1, 7)")


@pytest.mark.parametrize("code", ["ADD", "CONCATENATION", "SHAPE", "RELU", "CONV_2D", "PACK", "RESHAPE", "FILL", "DIV"])
def test_operators_without_inputs_or_outputs_say_so(code: str) -> None:
    names = {"CONV_2D": "Conv2D"}
    kind = "" if code in ("RELU", "FILL") else f"{names.get(code, code.title())}Options"
    x = T((1, 4), "float32")
    words = "this operator is not supported" if code in ("SHAPE", "FILL") else "input 0 is missing"
    handled(write([x, x], [Step(code, [], [1], None, kind)], [0], [1]), f"{code} (t1): {words}")
    handled(write([x, x], [Step(code, [0], [], None, kind)], [0], [1]), f"{code} (operator 0): it has no outputs")


def test_names_are_fit_to_be_printed() -> None:
    for name in ("two\nlines", "\x1b[31mred", "n" * 100_000, "\u202egnp"):
        handled(write([T((1, 4), "float32", name=name), T((1, 4), "float32", name=name)],
                      [Step("HASHTABLE_LOOKUP", [0], [1])], [0], [1]), "HASHTABLE_LOOKUP")  # fmt: skip
        handled(write([T((1, 4), "float32"), T((1, 4), "float32")], [Step(name, [0], [1])], [0], [1]), "CUSTOM")


def test_outputs_that_are_constants_are_checked() -> None:
    held = constant(np.ones((1, 4), np.float32))
    relu = Step("RELU", [0], [1])
    handled(write([T((1, 4), "float32"), T((1, 4), "float32"), held], [relu], [0], [1, 2]))
    handled(write([T((1, 4), "float32"), T((1, 4), "float32"), ints(1, 2)], [relu], [0], [1, 2]))
    handled(write([T((1, 4), "float32"), T((1, 4), "float32")], [relu], [0], [0, 1]))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 3e38, 1e-45])
def test_weights_that_are_no_numbers_are_checked(number: float) -> None:
    held = np.full((4, 4), number, np.float32)
    held[0, 0] = 1
    x, y = T((1, 4), "float32"), T((1, 4), "float32")
    handled(one("FULLY_CONNECTED", "float32", [x, constant(held), constant(held[0])], y, "FullyConnectedOptions"))
    for code in ("ADD", "DIV"):
        handled(one(code, "float32", [x, constant(held[:1])], y, f"{code.title()}Options"))
        handled(one(code, "float32", [x, constant(np.zeros((1, 4), np.float32))], y, f"{code.title()}Options"))


def test_empty_tensors_are_checked() -> None:
    empty = T((0, 4, 4, 2), "float32")
    handled(one("RESHAPE", "float32", [empty, ints(0, 32)], T((0, 32), "float32"), "ReshapeOptions"))
    options = {"padding": 0, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    handled(one("MAX_POOL_2D", "float32", [empty], T((0, 2, 2, 2), "float32"), "Pool2DOptions", options))
    handled(one("MEAN", "float32", [empty, ints(1, 2)], T((0, 2), "float32"), "ReducerOptions"))


@pytest.mark.parametrize(
    "shapes, words",
    [
        ({"y": (1, 2)}, "shapes names 'y', which is no input of it"),
        ({"x": 3}, r"\[3\] was given"),
        ({"x": (1, -4)}, r"\[1, -4\] was given"),
        ({"x": (1, 1 << 40)}, "has over"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: dict[str, object], words: str) -> None:
    x = T((1, 4), "float32", name="x", signature=(1, -1))
    with pytest.raises(UserError, match=words):
        from_tflite(one("RELU", "float32", [x], T((1, 4), "float32")), shapes=shapes)


def test_constants_are_for_onnx(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(one("RELU", "float32", [T((1, 4), "float32")], T((1, 4), "float32")))
    with pytest.raises(UserError, match="constants name 'sr': only inputs of ONNX models"):
        load(tmp_path / "net.tflite", constants={"sr": 16000})


def test_every_family_of_kernels_has_its_costs() -> None:
    for core in CORES:
        assert set(FAMILIES) <= set(coefficients(core))


def test_costs_of_enormous_layers_take_no_longer() -> None:
    for made in (convolution, lambda n: pooled(n, 3)):
        times = [_seconds(made, size) for size in (64, 1 << 14)]
        assert times[1] < 0.5, times


def _seconds(made: Callable[[int], bytes], size: int) -> float:
    graph = from_tflite(made(size))
    start = time.process_time()
    device("cortex-m4").cost(graph)
    return time.process_time() - start
