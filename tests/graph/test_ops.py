"""Every op: NumPy, torch and ONNX Runtime give the same, and its gradient rule agrees with torch autograd."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from op_cases import CASES, Case
from peers import assert_close, in_onnx_runtime, in_torch, output_gradients, single, torch_gradients

from netwright.compile.autodiff import autodiff
from netwright.graph import OPS, parse, to_text
from netwright.graph.onnx import to_onnx
from netwright.graph.types import FLOATS

CASE = pytest.mark.parametrize("case", CASES, ids=str)


def arrays_of(case: Case, wide: bool = False) -> list[np.ndarray]:
    present = [x for x in case.inputs if x is not None]
    return [x.astype(np.float64) if wide and x.dtype == np.float32 else x for x in present]


def wide_inputs(case: Case) -> tuple[np.ndarray | None, ...]:
    return tuple(x.astype(np.float64) if x is not None and x.dtype == np.float32 else x for x in case.inputs)


def test_every_op_has_a_case() -> None:
    missing = set(OPS.values()) - {type(case.op) for case in CASES}
    assert not missing, f"no case for {sorted(c.name for c in missing)}"


@CASE
def test_numpy_agrees_with_its_types_torch_and_onnx_runtime(case: Case) -> None:
    graph = single(case.op, case.inputs, case.quants)
    ours = graph.run(*arrays_of(case))
    for value, array in zip(graph.outputs, ours, strict=True):
        assert (array.shape, str(array.dtype)) == (value.shape, value.dtype)
    if case.torch:
        assert_close(in_torch(graph, arrays_of(case)), ours, 1e-5, "torch")
    if not case.onnx:
        return
    theirs = in_onnx_runtime(graph, arrays_of(case))
    if case.steps is None:
        assert_close(theirs, ours, 1e-5, "ONNX Runtime")
    else:
        assert np.abs(theirs[0].astype(int) - ours[0].astype(int)).max() <= case.steps


@pytest.mark.parametrize("case", [c for c in CASES if c.onnx], ids=str)
def test_exported_models_are_valid_in_old_and_new_opsets(case: Case) -> None:
    graph = single(case.op, case.inputs, case.quants)
    for opset in (17, 21):
        onnx.checker.check_model(to_onnx(graph, opset=opset), full_check=True)


@CASE
def test_text_form_keeps_every_attribute(case: Case) -> None:
    graph = single(case.op, case.inputs, case.quants)
    again = parse(to_text(graph))
    assert [n.op for n in again.nodes] == [case.op]
    assert again.structure_hash == graph.structure_hash


@pytest.mark.parametrize("case", [c for c in CASES if c.gradient], ids=str)
def test_gradient_agrees_with_torch_autograd(case: Case) -> None:
    graph = single(case.op, wide_inputs(case))
    arrays = arrays_of(case, wide=True)
    wrt = [v.name for i, v in enumerate(graph.inputs) if v.dtype in FLOATS and (case.wrt is None or i in case.wrt)]
    dys = output_gradients(graph, np.random.default_rng(1))
    backward = autodiff(graph, wrt, keep_outputs=False)
    ours = backward.run(*arrays, *dys)
    assert_close(ours, torch_gradients(graph, arrays, wrt, dys), 1e-4, "gradient")
    if case.second and backward.nodes:
        check_second(case, backward, [*arrays, *dys], wrt)


def check_second(case: Case, backward, arrays: list[np.ndarray], wrt: list[str]) -> None:
    """The gradient graph is a graph: differentiated once more it still agrees with torch."""
    again = output_gradients(backward, np.random.default_rng(2))
    twice = autodiff(backward, wrt, keep_outputs=False)
    assert_close(twice.run(*arrays, *again), torch_gradients(backward, arrays, wrt, again), 1e-4, "second gradient")
