"""Resource variables: streaming state that the file keeps by name becomes state of the graph."""

from __future__ import annotations

import numpy as np

from ...graph import Value
from ...ops.shape import Reshape
from ...types import DTYPES, Quant, Type
from ..importer import Import, imports, label
from ..model import Operator, Tensor


@imports("VAR_HANDLE")
def handle(imp: Import, op: Operator) -> None:
    """A handle is only a name; two handles of one name are one variable."""
    imp.handles[op.outputs[0]] = op.options.get("shared_name") or label(imp.result(op))


@imports("CALL_ONCE")
def call_once(imp: Import, op: Operator) -> None:
    """An initialising subgraph that assigns constants."""
    number = op.options["subgraph"]
    if not 0 <= number < len(imp.subgraphs):
        imp.refuse(op, f"there is no subgraph {number}")
    inner = imp.subgraphs[number]
    names: dict[int, str] = {}
    for step in inner.operators:
        if step.code == "VAR_HANDLE":
            names[step.outputs[0]] = step.options.get("shared_name") or label(inner.tensors[step.outputs[0]])
        elif step.code == "ASSIGN_VARIABLE" and len(step.inputs) == 2 and step.inputs[0] in names:
            array = inner.tensors[step.inputs[1]].data
            if array is None:
                imp.refuse(op, f"{names[step.inputs[0]]!r} starts from something computed")
            imp.initial[names[step.inputs[0]]] = array
        else:
            imp.refuse(op, f"its subgraph holds {step.code}; only constants assigned to variables are supported")


def _name(imp: Import, op: Operator) -> str:
    index = op.inputs[0] if op.inputs else -1
    if index not in imp.handles:
        imp.refuse(op, "its variable has no handle")
    return imp.handles[index]


@imports("READ_VARIABLE")
def read(imp: Import, op: Operator) -> None:
    """The state as it was before this step, or what this step assigned already."""
    name = _name(imp, op)
    if name not in imp.variables:
        imp.variables[name] = _state(imp, op, name, imp.result(op))
    imp.put(op, imp.variables[name])


def _state(imp: Import, op: Operator, name: str, tensor: Tensor) -> Value:
    """A new state of the graph that begins as CALL_ONCE left it, or as zeros."""
    array = imp.initial.get(name)
    if tensor.dtype not in DTYPES or (array is not None and array.dtype != DTYPES[tensor.dtype]):
        imp.refuse(op, f"variable {name!r} of {tensor.dtype}")
    start = array.reshape(-1) if array is not None and array.size else np.zeros(1, DTYPES[tensor.dtype])
    if (start != start[0]).any():
        imp.refuse(op, f"variable {name!r} starts from different numbers; only one number everywhere is supported")
    quant: Quant | None = imp.quant(op, tensor) if imp.integer(tensor) else None
    first = float(start[0]) - (128 if tensor.dtype == "uint8" and quant is not None else 0)
    shape = array.shape if array is not None else tensor.shape
    dtype = "int8" if quant is not None else tensor.dtype
    made = imp.b.state(name, Type(shape, dtype, quant), first)
    imp.states[name] = made
    return made


@imports("ASSIGN_VARIABLE")
def assign(imp: Import, op: Operator) -> None:
    """What the variable is from now on, in this step and the next."""
    name = _name(imp, op)
    if name not in imp.states:
        _state(imp, op, name, imp.tensor(op, 1))
    state, value = imp.states[name], imp.value(op, 1)
    if value.shape != state.shape and value.type.size == state.type.size:
        value = imp.b(Reshape(state.shape), value, name=f"{value.name}.state")
    imp.variables[name] = value
    imp.b.update(state, value)
