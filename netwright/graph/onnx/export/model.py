"""A whole model: inputs, initializers, nodes, outputs; and writing it to disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...graph import Graph, Value
from ...types import DTYPES
from .exporter import Export, onnx_module

OLDEST, NEWEST = 17, 23
_LARGEST_BYTES = 2**31 - 1  # one protobuf message


def to_onnx(graph: Graph, *, opset: int = 17) -> Any:
    """The graph as an `onnx.ModelProto`, shapes as in the types (`graph.rebatch(n)` first for another batch).

    Parameters become initializers, views applied. A state becomes an input of its name and an output `<name>.after`,
    after the graph's own; whoever runs the model carries it from step to step. Float results agree with the NumPy
    reference to rounding. The int8 ops become DequantizeLinear, the float op and QuantizeLinear; ONNX rounds halves to
    even where TFLite's fixed point rounds them away from zero, so each such layer may differ by one quantisation step.
    Raises MissingExtra without the onnx package, ValueError for an opset outside 17..23, for an op that this opset
    cannot say and for a model above 2 GiB, KeyError for a parameter without contents.
    """
    helper = onnx_module().helper
    if not OLDEST <= opset <= NEWEST:
        raise ValueError(f"opset {opset} is not supported: give one from {OLDEST} to {NEWEST}")
    size = sum(p.value.type.bytes for p in graph.params)
    if size > _LARGEST_BYTES:
        raise ValueError(f"{graph.name} has {size} bytes of parameters; one ONNX file holds at most {_LARGEST_BYTES}")
    ex = Export(graph, opset)
    inputs = [*graph.inputs, *(s.before for s in graph.states)]
    ends = [(v, v.name) for v in graph.outputs] + [(s.after, f"{s.name}.after") for s in graph.states]
    for value in inputs:
        ex.names[value] = ex.reserve(value.name)
    params = [p for p in graph.params if p.value in graph.consumers or p.value in graph.outputs]
    for param in params:
        array = graph.store.read(param)
        ex.constants[param.value] = array
        ex.names[param.value] = ex.reserve(param.value.name)
        ex.initializers[ex.names[param.value]] = array
    for value, name in ends:
        ex.promise(name, value)
    for node in graph.nodes:
        ex.node(node)
    outputs: list[str] = []
    for value, name in ends:
        outputs.append(_end(ex, value, name, outputs))
    read = {name for node in ex.nodes for name in node.input}
    proto = helper.make_graph(
        ex.nodes,
        graph.name or "net",
        [_info(ex, value, ex.names[value]) for value in inputs],
        [_info(ex, value, name) for (value, _), name in zip(ends, outputs, strict=True)],
        [_tensor(ex, name, array) for name, array in ex.initializers.items() if name in read],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(
        proto, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets), producer_name="netwright"
    )


def save_onnx(graph: Graph, path: str | os.PathLike[str], *, opset: int = 17) -> None:
    """Write `to_onnx(graph)` beside `path`, then rename it there. Raises as `to_onnx` does, and OSError."""
    target = Path(path)
    data = to_onnx(graph, opset=opset).SerializeToString()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _end(ex: Export, value: Value, name: str, before: list[str]) -> str:
    """The model's output for a value: the tensor itself, or a copy of an input, a parameter or an earlier output."""
    current = ex.names[value]
    kept = ex.claim(name, value)
    if current == name and current not in before and any(current in node.output for node in ex.nodes):
        return current
    result = name if kept and current != name else ex.reserve(name)
    ex.nodes.append(ex.onnx.helper.make_node("Identity", [current], [result]))
    return result


def _dtype(ex: Export, name: str) -> int:
    return int(ex.onnx.helper.np_dtype_to_tensor_dtype(DTYPES[name]))


def _info(ex: Export, value: Value, name: str) -> Any:
    return ex.onnx.helper.make_tensor_value_info(name, _dtype(ex, value.dtype), list(value.shape))


def _tensor(ex: Export, name: str, array: Any) -> Any:
    return ex.onnx.numpy_helper.from_array(array, name)
