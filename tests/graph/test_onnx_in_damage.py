"""Damaged and hostile files: one line each, in little time and memory."""

from __future__ import annotations

import random
import resource
import time
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_backend import node_cases
from test_onnx_in_models import info, model, node, real

from netwright.errors import UserError
from netwright.graph.onnx import from_onnx

SECONDS, BYTES = 5.0, 2**30


def refused_or_read(given: Any) -> str:
    """The one line of a refusal, or nothing; within SECONDS of computing and BYTES."""
    start, before, line = time.process_time(), memory(), ""
    try:
        from_onnx(given)
    except UserError as error:
        line = str(error)
        assert line and "\n" not in line and len(line) < 1000
    assert time.process_time() - start < SECONDS
    assert memory() - before < BYTES
    return line


def memory() -> int:
    """The most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def huge(*dims: int) -> np.ndarray:
    return np.array(dims, np.int64)


BIG = 2**40
X = [info("x", [1, 4])]


@pytest.mark.parametrize(
    "nodes, arrays",
    [
        ([node("ConstantOfShape", ["s"], ["k"]), node("Add", ["x", "k"], ["y"])], {"s": huge(BIG, 4)}),
        ([node("Expand", ["x", "s"], ["y"])], {"s": huge(BIG, 1, 4)}),
        ([node("Expand", ["k", "s"], ["y"])], {"s": huge(BIG, BIG), "k": real(1)}),
        ([node("Tile", ["k", "s"], ["y"])], {"s": huge(BIG), "k": real(3)}),
        ([node("Tile", ["x", "s"], ["y"])], {"s": huge(2**62, 2**62)}),
        ([node("Range", ["a", "b", "c"], ["y"])], {"a": np.int64(0), "b": np.int64(2**62), "c": np.int64(1)}),
        ([node("Range", ["a", "b", "c"], ["y"])], {"a": np.float32(0), "b": np.float32(1), "c": np.float32(1e-30)}),
        ([node("OneHot", ["i", "d", "v"], ["y"])], {"i": huge(1, 2), "d": np.int64(BIG), "v": real(2)}),
        ([node("Pad", ["x", "p"], ["y"], mode="edge")], {"p": huge(0, BIG, 0, BIG)}),
        ([node("Pad", ["x", "p"], ["y"], mode="wrap")], {"p": huge(0, BIG, 0, BIG)}),
        ([node("Resize", ["i", "", "", "s"], ["y"], mode="cubic")], {"i": real(1, 1, 2, 2), "s": huge(1, 1, BIG, 2)}),
        ([node("Resize", ["i", "", "", "s"], ["y"], mode="linear")], {"i": real(1, 1, 2, 2), "s": huge(1, 1, 2**17, 2**17)}),
        ([node("HannWindow", ["n"], ["y"])], {"n": np.int64(BIG)}),
        ([node("DFT", ["k", "n"], ["y"])], {"k": real(1, 4, 1), "n": np.int64(2**30)}),
        ([node("MelWeightMatrix", ["n", "n", "n", "a", "b"], ["y"])], {"n": np.int64(BIG), "a": np.float32(0), "b": np.float32(9)}),
        ([node("AffineGrid", ["t", "s"], ["y"])], {"t": real(1, 2, 3), "s": huge(1, 1, 2**20, 2**20)}),
        ([node("Col2Im", ["t", "s", "b"], ["y"])], {"t": real(1, 4, 4), "s": huge(BIG, BIG), "b": huge(2, 2)}),
        ([node("Trilu", ["e"], ["y"]), node("Expand", ["x", "s"], ["e"])], {"s": huge(2**20, 2**20, 4)}),
        ([node("Unsqueeze", ["x", "a"], ["y"])], {"a": np.arange(5000)}),
        ([node("Reshape", ["x", "s"], ["y"])], {"s": huge(1, 4, *[1] * 100_000)}),
        ([node("MaxPool", ["i"], ["y"], kernel_shape=[BIG, BIG], pads=[BIG] * 4)], {"i": real(1, 1, 3, 3)}),
        ([node("AveragePool", ["i"], ["y"], kernel_shape=[3], pads=[2**33] * 2)], {"i": real(1, 1, 3)}),
        ([node("Conv", ["i", "w"], ["y"], pads=[2**33] * 2)], {"i": real(1, 1, 3), "w": real(1, 1, 3)}),
        ([node("Einsum", ["x", "x"], ["y"], equation="ab,cd->abcdabcd")], {}),
        ([node("Split", ["x"], [f"y{i}" for i in range(9)][:1] + ["y"], axis=7)], {}),
        ([node("CumSum", ["e", "a"], ["y"]), node("Expand", ["x", "s"], ["e"])], {"s": huge(BIG, 4), "a": np.int64(0)}),
    ],
    ids=lambda v: v[0].op_type if isinstance(v, list) else "",
)
def test_sizes_are_checked_before_memory_is_taken(nodes: list[Any], arrays: dict[str, Any]) -> None:
    arrays = {k: np.asarray(v) for k, v in arrays.items()}
    opset = 20 if nodes[0].op_type in ("AffineGrid", "DFT") else 19
    refused_or_read(model(nodes, X, ["y"], arrays, opset=opset))


def test_inputs_of_any_size_cost_nothing() -> None:
    for op, how in (("Hardmax", {}), ("ArgMax", {"select_last_index": 1}), ("Trilu", {}), ("AveragePool", {"kernel_shape": [3], "dilations": [2]})):
        refused_or_read(model([node(op, ["x"], ["y"], **how)], [info("x", [2**31 - 1, 2**31 - 1, 2**31 - 1])], ["y"], opset=19))


def test_long_sequences_and_loops_end() -> None:
    weights = {"w": real(1, 16, 4), "r": real(1, 16, 4)}
    line = refused_or_read(model([node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)], [info("x", [10**6, 1, 4])], ["y"], weights))
    assert "a sequence of 1000000 steps is not unrolled" in line
    nodes = [node("LSTM", ["x", "w", "r"], [f"y{i}"], hidden_size=4, clip=0.5) for i in range(100)]
    outputs = [f"y{i}" for i in range(100)]
    assert "nodes once loops" in refused_or_read(model(nodes, [info("x", [2000, 1, 4])], outputs, weights))
    body = None
    for depth in range(6):
        inner = [node("Neg", ["x"], [f"o{depth}"])] if body is None else [node("Loop", ["n", ""], [f"o{depth}"], body=body)]
        body = helper.make_graph(
            [*inner, node("Identity", [f"c{depth}"], [f"d{depth}"])], "b",
            [info(f"t{depth}", [], TensorProto.INT64), info(f"c{depth}", [], TensorProto.BOOL)], [info(f"d{depth}"), info(f"o{depth}")],
        )  # fmt: skip
    proto = model([node("Loop", ["n", ""], ["y"], body=body)], X, ["y"], {"n": np.asarray(np.int64(900))})
    assert "written out" in refused_or_read(proto)


def test_functions_that_call_themselves_or_double_end() -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]

    def call(name: str, to: str) -> Any:
        twice = [helper.make_node(to, ["a"], ["c"], domain="f"), helper.make_node(to, ["c"], ["b"], domain="f")]
        return helper.make_function("f", name, ["a"], ["b"], twice, opsets)

    doubling = [call(f"F{k}", f"F{k + 1}") for k in range(30)]
    doubling.append(helper.make_function("f", "F30", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], opsets))
    start = [node("F0", ["x"], ["y"], domain="f")]
    assert "written out" in refused_or_read(model(start, X, ["y"], functions=doubling, f=1))
    assert "nested more than" in refused_or_read(model(start, X, ["y"], functions=[call("F0", "F0")], f=1))


def test_many_folds_of_large_constants_end() -> None:
    nodes = [node("Expand", ["k", "s"], ["e"])]
    nodes += [node("ReduceSum", ["e"], [f"r{i}"], keepdims=0) for i in range(2000)]
    nodes += [node("Erf", ["e"], [f"f{i}"]) for i in range(50)]
    outputs = [f"r{i}" for i in range(2000)] + [f"f{i}" for i in range(50)]
    refused_or_read(model(nodes, X, outputs, {"k": real(1), "s": huge(2**22)}))


def test_long_names_are_cut() -> None:
    nodes = [node("Gelu", ["x"], ["y" * 10**6], approximate="tanh"), node("Mish", ["y" * 10**6], ["z"])]
    refused_or_read(model(nodes, X, ["z"], opset=20))
    assert "made by no node" in refused_or_read(model([node("Relu", ["q" * 10**6], ["z"])], X, ["z"]))


def test_graphs_that_are_none_say_so() -> None:
    relu = node("Relu", ["x"], ["y"])
    assert "cycle through" in refused_or_read(model([node("Relu", ["b"], ["a"]), node("Relu", ["a"], ["b"])], X, ["b"]))
    assert "cycle through" in refused_or_read(model([node("Add", ["a", "x"], ["a"])], X, ["a"]))
    assert "two values are called 'y'" in refused_or_read(model([relu, relu], X, ["y"]))
    assert "two values are called 'x'" in refused_or_read(model([node("Relu", ["x"], ["x"])], X, ["x"]))
    assert "two inputs are called 'x'" in refused_or_read(model([relu], X + X, ["y"]))
    assert "output 'z' is made by no node" in refused_or_read(model([relu], X, ["z"]))
    assert "input 'q' is made by no node" in refused_or_read(model([node("Relu", ["q"], ["y"])], X, ["y"]))
    assert "opset 99" in refused_or_read(model([relu], X, ["y"], opset=99))


def test_initialisers_whose_data_do_not_fit_are_refused() -> None:
    for change in ({"dims": [2**60]}, {"dims": [-3]}, {"dims": [3, 5]}, {"data_type": 16}, {"data_type": 99}, {"data_type": 8}):
        proto = model([node("Add", ["x", "w"], ["y"])], X, ["y"], {"w": real(1, 4)})
        tensor = proto.graph.initializer[0]
        if "dims" in change:
            del tensor.dims[:]
            tensor.dims.extend(change["dims"])
        else:
            tensor.data_type = change["data_type"]
        assert "tensor 'w'" in refused_or_read(proto)


def test_results_of_absurd_size_are_refused() -> None:
    large = [2**20, 2**20, 1, 4]
    assert "elements" in refused_or_read(model([node("Expand", ["x", "s"], ["y"])], X, ["y"], {"s": huge(*large)}))
    assert "elements" in refused_or_read(model([node("Relu", ["x"], ["y"])], [info("x", [2**31 - 1] * 2)], ["y"]))


def test_names_that_are_no_text_are_refused() -> None:
    data = model([node("Relu", ["input_x"], ["y"])], [info("input_x", [1, 4])], ["y"]).SerializeToString()
    assert "no UTF-8" in refused_or_read(data.replace(b"input_x", b"input_\xff"))
    proto = model([node("Relu", ["x"], ["y"])], X, ["y"])
    proto.graph.name = "the_graph"
    assert "no UTF-8" in refused_or_read(proto.SerializeToString().replace(b"the_graph", b"the_grap\x80"))


def test_averages_of_nothing_are_refused() -> None:
    how = {"kernel_shape": [2], "dilations": [2], "pads": [3, 3]}
    proto = model([node("AveragePool", ["x"], ["y"], **how)], [info("x", [1, 1, 4])], ["y"], opset=19)
    assert "nothing but padding" in refused_or_read(proto)


def damaged(data: bytes, rnd: random.Random) -> bytes:
    """Bytes changed, dropped, doubled or cut off."""
    if rnd.random() < 0.1:
        return data[: rnd.randrange(len(data))]
    out = bytearray(data)
    for _ in range(rnd.choice([1, 1, 2, 8])):
        place, kind = rnd.randrange(len(out)), rnd.random()
        if kind < 0.6:
            out[place] = rnd.choice([0, 1, 127, 128, 255, rnd.randrange(256)])
        elif kind < 0.7:
            out[place : place + 1] = rnd.choice([b"\xff\xff\xff\xff\x0f", b"\xff" * 8 + b"\x7f"])
        elif kind < 0.85:
            out[place:place] = out[place : place + rnd.randrange(40)]
        elif len(out) > 40:
            del out[place : place + rnd.randrange(1, 20)]
    return bytes(out)


def damaged_tensors(data: bytes, rnd: random.Random) -> bytes:
    """Well-formed, with impossible numbers in it."""
    proto = onnx.ModelProto.FromString(data)
    numbers = [0, 1, -1, 3, 64, 2**31 - 1, 2**40, 2**63 - 1, -(2**63)]
    for made in proto.graph.node:
        for attribute in made.attribute:
            if attribute.ints and rnd.random() < 0.5:
                attribute.ints[rnd.randrange(len(attribute.ints))] = rnd.choice(numbers)
            elif rnd.random() < 0.3:
                attribute.i = rnd.choice(numbers)
        if made.input and rnd.random() < 0.3:
            made.input[rnd.randrange(len(made.input))] = rnd.choice(["", *made.input])
    for value in proto.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if rnd.random() < 0.2:
                dim.dim_value = rnd.choice(numbers)
    return proto.SerializeToString()


def test_a_thousand_damaged_models_give_a_graph_or_one_line() -> None:
    rnd = random.Random(0)
    bases = [case.model.SerializeToString() for case in node_cases() if case.model.ByteSize() < 5000]
    weights = numpy_helper.from_array(real(4, 4), "w")
    bases += [helper.make_model(helper.make_graph([node("Gemm", ["x", "w"], ["y"])], "g", X, [info("y")], [weights])).SerializeToString()]
    read = 0
    for turn in range(1000):
        base = rnd.choice(bases)
        data = damaged(base, rnd) if turn % 2 else damaged_tensors(base, rnd)
        start = time.process_time()
        try:
            from_onnx(data)
            read += 1
        except UserError as error:
            assert "\n" not in str(error)
        assert time.process_time() - start < SECONDS
    assert 50 < read < 900
