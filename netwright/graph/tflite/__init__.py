"""TensorFlow Lite in: `from_tflite(path)`, float and quantised, without TensorFlow.

`flatbuffer` reads bytes that nobody vouches for, `schema` names their slots, `model` makes plain data of them, and
`rules/` holds one small file for each family of operators; a rule is registered under the operator's name. What the
file computes on shapes and constants alone is computed at import. Streaming state (resource variables, an LSTM's or
SVDF's memory) becomes the graph's state.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.errors import UserError, nearest

from ..builder import Builder, live
from ..graph import Graph
from ..types import DTYPES
from . import rules
from .importer import RULES, Import, bound, input_type
from .model import LARGEST, read_model

for _module in pkgutil.iter_modules(rules.__path__):
    importlib.import_module(f"{rules.__name__}.{_module.name}")


def from_tflite(
    model: str | os.PathLike[str] | bytes, *, shapes: Mapping[str, Any] | None = None, name: str | None = None
) -> Graph:
    """The graph of a TFLite file (or of its bytes), with its weights.

    Inputs and outputs keep the file's layout (channels last), element types and quantisation. An open leading
    dimension is bound to 1; `shapes` binds others, input name -> whole shape. Raises UserError, in one line, for a
    damaged file and for an operator or element type that is not supported, by name.
    """
    source = name or (Path(model).name if not isinstance(model, bytes) else "model")
    data = model if isinstance(model, bytes) else Path(model).read_bytes()
    try:
        return _import(data, source, dict(shapes or {}), name or source.removesuffix(".tflite"))
    except UserError as error:
        raise UserError(" ".join(str(error).split())[:1000]) from None
    except (ValueError, TypeError, LookupError, ArithmeticError, struct.error, AssertionError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"{source}: not a usable TFLite model: {reason}") from None


def _import(data: bytes, source: str, shapes: Mapping[str, Any], name: str) -> Graph:
    subgraphs = read_model(data)
    main = subgraphs[0]
    known = {main.tensors[i].name for i in main.inputs}
    for key in shapes:
        if key not in known:
            raise UserError(f"{source}: shapes names {key!r}, which is no input of it{nearest(key, known)}")
    imp = Import(source, subgraphs, Builder(name, largest=LARGEST), len(data))
    for index in main.inputs:
        tensor = main.tensors[index]
        if tensor.dtype not in DTYPES:
            raise UserError(f"{source}: input {tensor.name!r} has elements of {tensor.dtype}, which are not supported")
        imp.take_input(tensor, input_type(tensor, bound(tensor, source, shapes)))
    for op in main.operators:
        try:
            imp.run(op)
        except ValueError as error:
            imp.refuse(op, " ".join(str(error).split())[:300])
    for index in main.outputs:
        imp.give_output(main.tensors[index])
    if not main.outputs:
        raise ValueError("it has no outputs")
    return live(imp.b.graph())


__all__ = ["RULES", "from_tflite"]
