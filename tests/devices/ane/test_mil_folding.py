"""Each op on the executor against the constant-folding function that Core ML tools have for it, and networks exported
to ONNX against ONNX Runtime. Convolutions, pools and two norms have no such function: PyTorch judges them alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered import attention_block, inputs_of, swiglu_block
from mil_programs import Writer
from test_mil_ops import CASES

from netwright.devices.ane import profile
from netwright.devices.ane.device import lowered
from netwright.devices.ane.execute import prepare
from netwright.devices.ane.mil import BlobFile, Constant, Program
from netwright.devices.ane.simulator.kernel import written
from netwright.graph import Store
from netwright.graph.onnx.export import save_onnx

pytest.importorskip("coremltools")
import coremltools as ct
from coremltools.converters.mil import Builder as mb

ORION = {  # the ops of Orion's IR (section 3) but conv, which has no folding function, and neg, which is none of MIL's
    "add", "sub", "mul", "matmul", "reshape", "transpose", "cast", "relu", "tanh", "sigmoid", "softmax", "exp", "pow",
    "reduce_sum", "reduce_mean", "reduce_max", "sqrt", "rsqrt", "concat", "split", "pad", "slice_by_index", "identity",
}  # fmt: skip
UNFOLDED = {"silu", "conv", "conv_transpose", "batch_norm", "instance_norm", "upsample_nearest_neighbor", "max_pool", "avg_pool", "l2_pool"}
SUMS = {  # folded with fp16 sums, or with fp16 steps that cancel: errors are relative to the largest value
    "matmul", "linear", "einsum", "softmax", "softplus", "cumsum", "scaled_dot_product_attention", "reduce_sum", "reduce_log_sum",
}  # fmt: skip
ALL = {**CASES, "identity": (lambda w: w.op("identity", x="x"), None, {"x": (2, 3, 4)})}


def folded(program: Program, folder: Path, inputs: dict[str, np.ndarray]) -> np.ndarray | None:
    """The value that Core ML tools compute for the output while the program is built; None: they do not."""
    from netwright.devices.ane.weights import WeightFiles

    files, function = WeightFiles(folder), program.function()
    found: dict[str, Any] = {}

    @mb.program(input_specs=[mb.TensorSpec(shape=(1,))], opset_version=ct.target.iOS18)
    def built(unused: Any) -> Any:
        values: dict[str, Any] = {n: mb.const(val=x) for n, x in inputs.items()}
        for statement in function.statements:
            value = statement.attribute("val")
            if isinstance(value, BlobFile):
                made = mb.const(val=np.array(files.read(value)))
            elif isinstance(value, Constant):
                array = value.numpy()
                made = mb.const(val=(array if value.type.shape else array.item() if array.dtype == bool else array[()]) if array.dtype != object else str(value.values[0]))
            else:
                args = {k: values[a] if isinstance(a, str) else tuple(values[str(each)] for each in a) for k, a in statement.args}
                made = getattr(mb, statement.op)(**args)
            for variable, each in zip(statement.results, made if isinstance(made, (list, tuple)) else [made]):
                values[variable.name] = each
        (output,) = function.outputs
        found["value"] = values[output].val
        return unused

    assert built is not None
    return found["value"]


def both(name: str, folder: Path) -> tuple[Program, np.ndarray, np.ndarray | None]:
    """The program of a case, what the executor makes of it, and what Core ML tools do."""
    build, _, shapes = ALL[name]
    w = Writer(folder)
    for source, shape in shapes.items():
        w.input(source, *shape)
    program = w.program(build(w))
    random = np.random.default_rng(len(name))
    inputs = {n: random.normal(size=shape).astype(np.float16) for n, shape in shapes.items()}
    (ours,) = prepare(program, folder).run(inputs).values()
    return program, ours, folded(program, folder, inputs)


@pytest.mark.parametrize("name", [n for n in ALL if n != "concat interleaved"])
def test_op_equals_the_folding_function_of_core_ml_tools(name: str, tmp_path: Path) -> None:
    program, ours, theirs = both(name, tmp_path)
    ops = set(program.function().histogram())
    if theirs is None:
        assert ops & UNFOLDED
        return
    assert ours.shape == np.shape(theirs) and not ops & UNFOLDED
    want = np.asarray(theirs, np.float32)
    least = np.abs(want).max() if ops & SUMS else 1e-3
    units = np.abs(ours.astype(np.float32) - want) / np.maximum(np.abs(want), least) * 2**11
    assert units.max() <= 4  # theirs rounds to fp16 between steps that ours takes in fp32


def test_every_op_of_orion_is_among_them() -> None:
    tried = {s.op for name in ALL for s in _statements(name)}
    assert tried - UNFOLDED >= ORION and len(tried - UNFOLDED - {"const"}) > 80


def test_interleaved_concat_is_as_documented_and_not_as_folded(tmp_path: Path) -> None:
    """Core ML tools' documentation says elements alternate; their folding function leaves `interleave` out."""
    _, ours, theirs = both("concat interleaved", tmp_path)
    assert theirs is not None and np.array_equal(ours, theirs.reshape(1, 2, 3, 2, 2).swapaxes(1, 2).reshape(1, 6, 2, 2))


def _statements(name: str) -> Any:
    build, _, shapes = ALL[name]
    w = Writer(Path("."))
    for source, shape in shapes.items():
        w.input(source, *shape)
    build(w)
    return w.statements


@pytest.mark.parametrize("block", [attention_block, swiglu_block])
def test_an_exported_network_is_in_onnx_runtime_what_its_program_is_here(block: Any, tmp_path: Path) -> None:
    """C 256, S 64, fp32 there: below 0.005 and a cosine above 0.99999 (the catalogue's check 3)."""
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = block(length=64, width=64 if block is attention_block else 256)
    chosen = profile.load("m4max-orion")
    made = lowered(graph, chosen)
    written(made.weights, tmp_path)
    halves = {n: graph.store[n].astype(np.float16).astype(np.float32) for n in graph.store}
    save_onnx(graph.with_store(Store(halves)), tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    given = inputs_of(graph)
    theirs = session.run(None, {i.name: x for i, x in zip(session.get_inputs(), given, strict=True)})
    got = prepare(made.program, tmp_path, chosen.numerics).run({p.variable: p.inwards(x) for p, x in zip(made.inputs, given)})
    for port, want in zip(made.outputs, theirs, strict=True):
        y = port.outwards(got[port.variable]).astype(np.float64)
        assert np.abs(y - want).max() < 0.005 * max(1.0, np.abs(want).max())
        assert (y * want).sum() / np.sqrt((y * y).sum() * (want * want).sum()) > 0.99999
