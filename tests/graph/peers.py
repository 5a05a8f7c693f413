"""The same graph in NumPy, torch and ONNX Runtime, and how far apart the results are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch

from netwright.graph import Builder, Graph, Op, Type, rebuild
from netwright.graph.onnx import to_onnx
from netwright.graph.torch import to_torch
from netwright.graph.types import FLOATS

Array = np.ndarray


def single(op: Op, arrays: Sequence[Array | None], quants: Sequence[Any] = ()) -> Graph:
    """A graph of one op whose operands are all inputs."""
    b = Builder(op.name)
    quants = [*quants, *[None] * (len(arrays) - len(quants))]
    values = [
        b.input(f"x{i}", Type(a.shape, str(a.dtype), q)) if a is not None else None
        for i, (a, q) in enumerate(zip(arrays, quants))
    ]
    result = b(op, *values)
    b.output(*(result if isinstance(result, tuple) else (result,)))
    return b.graph()


def in_torch(graph: Graph, arrays: Sequence[Array]) -> tuple[Array, ...]:
    outputs = to_torch(graph).eval()(*(torch.from_numpy(np.array(a)) for a in arrays))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple(o.detach().numpy() for o in outputs)


def in_onnx_runtime(graph: Graph, arrays: Sequence[Array], opset: int = 17) -> tuple[Array, ...]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = to_onnx(graph, opset=opset).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return tuple(session.run(None, dict(zip(names, arrays, strict=True))))


def torch_gradients(graph: Graph, arrays: Sequence[Array], wrt: Sequence[str], dys: Sequence[Array]) -> list[Array]:
    """Gradients of the floating outputs, weighted by `dys`, with respect to the named inputs and parameters."""
    module = to_torch(graph).eval()
    tensors = {v.name: torch.from_numpy(np.array(a)) for v, a in zip(graph.inputs, arrays, strict=True)}
    leaves = [tensors[n].requires_grad_() if n in tensors else module.tensor(n) for n in wrt]
    outputs = module(*tensors.values())
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    floating = [o for o in outputs if o.is_floating_point()]
    pairs = [(o, torch.from_numpy(np.array(d))) for o, d in zip(floating, dys, strict=True) if o.requires_grad]
    grads = torch.autograd.grad([o for o, _ in pairs], leaves, [d for _, d in pairs], allow_unused=True)
    return [np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(leaves, grads)]


def output_gradients(graph: Graph, rng: np.random.Generator) -> list[Array]:
    return [rng.standard_normal(v.shape).astype(v.dtype) for v in graph.outputs if v.dtype in FLOATS]


def assert_close(got: Sequence[Array], wanted: Sequence[Array], share: float, what: str = "", floor: float = 0.0) -> None:
    """Every element within `share` times the largest value of its array (or `floor`, where that is larger)."""
    assert len(got) == len(wanted), what
    for index, (a, b) in enumerate(zip(got, wanted)):
        assert a.shape == b.shape, f"{what} output {index}: {a.shape} is not {b.shape}"
        assert a.dtype.kind == b.dtype.kind, f"{what} output {index}: {a.dtype} is not {b.dtype}"
        if a.dtype.kind != "f":
            np.testing.assert_array_equal(a, b, err_msg=f"{what} output {index}")
        elif a.size:
            largest = max(float(np.abs(b).max()), floor)
            apart = float(np.abs(a.astype(np.float64) - b).max())
            assert apart <= share * largest, f"{what} output {index}: {apart:.3g} apart, largest value {largest:.3g}"


def as_float64(graph: Graph) -> Graph:
    """The same graph computed in double precision."""
    b = Builder(graph.name)
    new = {}
    for value in graph.inputs:
        new[value] = b.input(value.name, Type(value.shape, "float64" if value.dtype == "float32" else value.dtype))
    for param in graph.params:
        array = graph.store.read(param)
        wide = array.astype(np.float64) if array.dtype == np.float32 else array
        new[param.value] = b.param(param.value.name, wide.shape, dtype=str(wide.dtype), trainable=param.trainable)
        b.store[param.value.name] = wide
    for node in graph.nodes:
        name = node.name if len(node.outputs) == 1 else None
        result = b(node.op, *(new[v] if v is not None else None for v in node.inputs), name=name)
        new.update(zip(node.outputs, result if isinstance(result, tuple) else (result,), strict=True))
    b.output(*(new[v] for v in graph.outputs))
    return rebuild(b.graph())
