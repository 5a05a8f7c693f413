"""What a model becomes: bound dimensions, folded shapes, names, parameters, functions, loops, files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from netwright.errors import UserError
from netwright.graph import Quant
from netwright.graph.onnx import from_onnx

rng = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def info(name: str, shape: list[Any] | None = None, dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def model(
    nodes: list[Any], inputs: list[Any], outputs: list[str], arrays: dict[str, np.ndarray] | None = None, opset: int = 17,
    functions: list[Any] | None = None, **domains: int,
) -> Any:  # fmt: skip
    tensors = [numpy_helper.from_array(a, n) for n, a in (arrays or {}).items()]
    graph = helper.make_graph(nodes, "net", inputs, [onnx.ValueInfoProto(name=n) for n in outputs], tensors)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in domains.items())]
    return helper.make_model(graph, opset_imports=opsets, functions=functions or [], ir_version=8)


def node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    return helper.make_node(op, inputs, outputs, name=f"node of {outputs[0]}", **attributes)


def ops_of(graph: Any) -> list[str]:
    return [n.op.name for n in graph.nodes]


def test_a_leading_symbol_is_the_batch_and_others_must_be_bound() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [info("x", ["batch", 3, "height", "width"])], ["y"])
    with pytest.raises(UserError, match=r"input 'x' is \[batch, 3, height, width\]: bind dimension 'height' by shapes=\{'height': n\}"):
        from_onnx(proto)
    assert from_onnx(proto, shapes={"height": 4, "width": 5}).inputs[0].shape == (1, 3, 4, 5)
    assert from_onnx(proto, shapes={"x": (2, 3, 4, 5)}).inputs[0].shape == (2, 3, 4, 5)
    assert from_onnx(proto, shapes={"batch": 7, "height": 1, "width": 1}).inputs[0].shape == (7, 3, 1, 1)


def test_wrong_bindings_are_named() -> None:
    proto = model([node("Relu", ["x"], ["y"])], [info("x", [1, "n"])], ["y"])
    with pytest.raises(UserError, match=r"shapes names 'm', which is no input and no dimension of it .there are: n, x"):
        from_onnx(proto, shapes={"m": 3})
    with pytest.raises(UserError, match=r"shapes gives 'x' as \[2, 3\], the model has \[1, n\]"):
        from_onnx(proto, shapes={"x": (2, 3)})
    with pytest.raises(UserError, match="dimension 'n' cannot be -3"):
        from_onnx(proto, shapes={"n": -3})
    with pytest.raises(UserError, match="constants names 'z'"):
        from_onnx(proto, shapes={"n": 3}, constants={"z": 1})
    with pytest.raises(UserError, match=r"constants gives 'x' in shape \[\], the model has \[1, n\]"):
        from_onnx(proto, constants={"x": 1.0})
    with pytest.raises(UserError, match=r"shapes gives 'x' as 3, but it is an input: give its whole shape"):
        from_onnx(proto, shapes={"x": 3})
    with pytest.raises(UserError, match=r"shapes gives 'n' as \(3,\), but it is a dimension: give one number"):
        from_onnx(proto, shapes={"n": (3,)})


def test_one_symbol_is_one_size_everywhere() -> None:
    proto = model([node("Add", ["x", "s"], ["y"])], [info("x", ["batch", 4]), info("s", [1, "batch", 4])], ["y"])
    assert [v.shape for v in from_onnx(proto).inputs] == [(1, 4), (1, 1, 4)]


def test_shape_arithmetic_leaves_no_nodes() -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axes"], ["n1"]),
        node("Concat", ["n1", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["flat"]),
        node("ConstantOfShape", ["target_of_ones"], ["ones"], value=numpy_helper.from_array(np.ones(1, np.float32))),
        node("Add", ["flat", "ones"], ["y"]),
    ]
    arrays = {"zero": np.int64(0).reshape(()), "axes": np.array([0]), "rest": np.array([-1]), "target_of_ones": np.array([12])}
    graph = from_onnx(model(nodes, [info("x", ["batch", 3, 4])], ["y"], arrays))
    assert ops_of(graph) == ["reshape", "add"]
    x = real(5, 3, 4)
    np.testing.assert_array_equal(graph.run(x)[0], x.reshape(5, 12) + 1)  # the batch stays open


def test_initialisers_are_parameters_under_their_names() -> None:
    w, b, stats = real(8, 3, 3, 3), real(8), {n: np.abs(real(8)) for n in ("scale", "shift", "mean", "var")}
    nodes = [
        node("Conv", ["x", "conv.weight", "conv.bias"], ["conv_out"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["conv_out", *stats], ["norm_out"]),
        node("Mul", ["norm_out", "half"], ["y"]),
    ]
    arrays = {"conv.weight": w, "conv.bias": b, **stats, "half": np.float32(0.5).reshape(())}
    # old exporters list initialisers as inputs too
    graph = from_onnx(model(nodes, [info("x", [1, 3, 6, 6]), info("conv.weight", [8, 3, 3, 3])], ["y"], arrays))
    assert [v.name for v in graph.inputs] == ["x"]
    assert {p.value.name: p.trainable for p in graph.params} == {
        "conv.weight": True, "conv.bias": True, "scale": True, "shift": True, "mean": False, "var": False, "half": False
    }  # fmt: skip
    assert [n.name for n in graph.nodes] == ["conv_out", "norm_out", "y"]


def test_gemm_and_matmul_with_known_weights_are_linear_layers() -> None:
    w, b, v = real(5, 4), real(5), real(5, 3)
    nodes = [node("Gemm", ["x", "w", "b"], ["h"], transB=1), node("MatMul", ["h", "v"], ["y"]), node("Identity", ["y"], ["z"])]
    graph = from_onnx(model(nodes, [info("x", ["n", 4])], ["z"], {"w": w, "b": b, "v": v}))
    assert ops_of(graph) == ["linear", "linear"]
    assert [v.name for v in graph.outputs] == ["z"]
    assert graph.params[-1].value.shape == (3, 5)
    x = real(2, 4)
    np.testing.assert_allclose(graph.run(x)[0], (x @ w.T + b) @ v, rtol=1e-4)


def test_nodes_that_no_output_needs_are_not_read() -> None:
    nodes = [node("NonMaxSuppression", ["x", "x"], ["dead"]), node("Relu", ["x"], ["y"])]
    assert ops_of(from_onnx(model(nodes, [info("x", [1, 2, 4])], ["y"]))) == ["relu"]


def test_nodes_out_of_order_are_sorted() -> None:
    nodes = [node("Relu", ["h"], ["y"]), node("Neg", ["x"], ["h"])]
    assert ops_of(from_onnx(model(nodes, [info("x", [3])], ["y"]))) == ["neg", "relu"]


def test_quantised_activations_stay_quantise_ops_and_weights_are_folded() -> None:
    q = rng.integers(-127, 128, (6, 3, 3, 3)).astype(np.int8)
    arrays = {
        "s": np.float32(0.02).reshape(()), "z": np.int8(3).reshape(()), "q": q, "t": np.linspace(0.01, 0.02, 6, dtype=np.float32),
        "u": np.zeros(6, np.int8), "o": np.float32(0.05).reshape(()), "p": np.int8(-1).reshape(()),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["x_q"]),
        node("DequantizeLinear", ["x_q", "s", "z"], ["x_d"]),
        node("DequantizeLinear", ["q", "t", "u"], ["w"], axis=0),
        node("Conv", ["x_d", "w"], ["h"]),
        node("QuantizeLinear", ["h", "o", "p"], ["h_q"]),
        node("DequantizeLinear", ["h_q", "o", "p"], ["y"]),
    ]
    graph = from_onnx(model(nodes, [info("x", [1, 3, 6, 6])], ["y"], arrays))
    assert ops_of(graph) == ["quantise", "dequantise", "conv", "quantise", "dequantise"]
    assert graph.nodes[0].output.type.quant == Quant(float(np.float32(0.02)), 3)
    assert [p.value.name for p in graph.params] == ["q"] and graph.params[0].trainable
    np.testing.assert_allclose(graph.store["q"], q * arrays["t"].reshape(6, 1, 1, 1), rtol=1e-6)


def test_an_if_on_a_constant_is_its_branch() -> None:
    then = helper.make_graph([node("Relu", ["x"], ["a"])], "then", [], [info("a")])
    other = helper.make_graph([node("Neg", ["x"], ["a"])], "else", [], [info("a")])
    nodes = [node("Equal", ["rate", "wanted"], ["same"]), node("If", ["same"], ["y"], then_branch=then, else_branch=other)]
    proto = model(nodes, [info("x", [2]), info("rate", [], TensorProto.INT64)], ["y"], {"wanted": np.int64(8).reshape(())})
    assert ops_of(from_onnx(proto, constants={"rate": 8})) == ["relu"]
    assert ops_of(from_onnx(proto, constants={"rate": 9})) == ["neg"]
    with pytest.raises(UserError, match=r"node 'node of y', If \(ai.onnx opset 17\): .*'same'.* must be known at import"):
        from_onnx(proto)


def test_a_loop_of_known_length_is_written_out() -> None:
    body = helper.make_graph(
        [node("Add", ["carried", "x"], ["next"]), node("Identity", ["next"], ["row"]), node("Identity", ["on"], ["still"])],
        "body", [info("turn", [], TensorProto.INT64), info("on", [], TensorProto.BOOL), info("carried", [3])],
        [info("still"), info("next"), info("row")],
    )  # fmt: skip
    nodes = [node("Loop", ["count", "", "x"], ["last", "rows"], body=body)]
    proto = model(nodes, [info("x", [3]), info("count", [], TensorProto.INT64)], ["last", "rows"])
    last, rows = from_onnx(proto, constants={"count": 4}).run(np.float32([1, 2, 3]))
    np.testing.assert_array_equal(last, [5, 10, 15])
    np.testing.assert_array_equal(rows[:, 0], [2, 3, 4, 5])
    with pytest.raises(UserError, match="makes over 1024 turns"):
        from_onnx(proto, constants={"count": 10**9})


def test_functions_of_the_model_are_read_in_place() -> None:
    scaled = helper.make_function(
        "mine", "Scaled", ["a"], ["b"],
        [
            helper.make_node("Constant", [], ["k"]),
            helper.make_node("Mul", ["a", "k"], ["b"]),
        ],
        [helper.make_opsetid("", 17)], ["by"],
    )  # fmt: skip
    reference = scaled.node[0].attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "value_float", "by", onnx.AttributeProto.FLOAT
    twice = helper.make_function(
        "mine", "Twice", ["a"], ["b"],
        [helper.make_node("Scaled", ["a"], ["c"], domain="mine", by=3.0), helper.make_node("Add", ["c", "c"], ["b"])],
        [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)],
    )  # fmt: skip
    proto = model([node("Twice", ["x"], ["y"], domain="mine")], [info("x", [2])], ["y"], functions=[scaled, twice], mine=1)
    np.testing.assert_array_equal(from_onnx(proto).run(np.float32([1, 2]))[0], [6, 12])


def test_an_unknown_operator_is_named_with_its_domain() -> None:
    proto = model([node("Fancy", ["x"], ["y"], domain="vendor")], [info("x", [2])], ["y"], vendor=2)
    message = r"the model: node 'node of y', Fancy \(vendor opset 2\): netwright has no rule for this operator: export"
    with pytest.raises(UserError, match=message):
        from_onnx(proto)


@pytest.mark.parametrize("dtype, name", [(TensorProto.BFLOAT16, "bfloat16"), (TensorProto.STRING, "string"), (TensorProto.UINT16, "uint16")])
def test_types_that_graphs_lack_are_named(dtype: int, name: str) -> None:
    proto = model([node("Identity", ["x"], ["y"])], [info("x", [2], dtype)], ["y"])
    with pytest.raises(UserError, match=rf"input 'x'.* {name}"):
        from_onnx(proto)


def with_external_data(folder: Path, location: str = "weights.bin", **entries: int) -> Path:
    proto = model([node("Add", ["x", "w"], ["y"])], [info("x", [2, 3])], ["y"], {"w": real(2, 3)})
    tensor = proto.graph.initializer[0]
    (folder / "weights.bin").write_bytes(b"12345678" + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 8, "length": 24, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_weights_in_a_file_beside_the_model_are_read(tmp_path: Path) -> None:
    path = with_external_data(tmp_path)
    graph = from_onnx(path)
    np.testing.assert_array_equal(graph.store["w"].tobytes(), (tmp_path / "weights.bin").read_bytes()[8:])
    with pytest.raises(UserError, match="give the model's path, not its contents"):
        from_onnx(path.read_bytes())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"location": "../secret"}, "not inside the model's folder"),
        ({"location": "/etc/passwd"}, "not inside the model's folder"),
        ({"location": "link"}, "not inside the model's folder"),
        ({"location": "missing.bin"}, "keep it beside the model"),
        ({"offset": 16}, "do not fit"),
        ({"length": 10**12}, "do not fit"),
        ({"offset": -4}, "do not fit"),
    ],
)
def test_external_data_stays_inside_the_folder_and_the_file(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"x" * 100)
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match=message):
        from_onnx(with_external_data(folder, **change))


def test_paths_that_are_no_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.onnx: No such file"):
        from_onnx(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(UserError, match=r"text.onnx: not an ONNX model"):
        from_onnx(tmp_path / "text.onnx")
    with pytest.raises(UserError, match=r"a path, bytes or an onnx.ModelProto, not int"):
        from_onnx(3)
