"""A whole model: the file, its inputs, its initialisers, then its nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError, nearest

from ...builder import without_unread_params
from ...graph import Graph
from ...types import DTYPES, FLOATS, Type
from ..export.exporter import onnx_module
from .body import DAMAGE, Names, domain_of, one_line, read_body
from .entry import Known, Sequence
from .importer import LONGEST_NAME, MOST_ELEMENTS, Import, Located
from .tensors import array_of, dtype_name

OLDEST, NEWEST = 1, 28
_LARGEST_DIMENSION = 2**31 - 1


def from_onnx(
    model_or_path: Any,
    *,
    shapes: Mapping[str, int | tuple[int, ...]] | None = None,
    constants: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Graph:
    """Read an ONNX model: a path, the file's bytes, or an `onnx.ModelProto`.

    Dimensions are static in a graph. A leading symbolic dimension is the batch and becomes 1; others are bound by
    `shapes`, either a symbol ({"height": 224}) or a whole input ({"x": (1, 3, 224, 224)}). `constants` binds inputs to
    arrays ({"sr": 16000}), which are then no inputs any more. Everything computable from shapes and constants is
    computed here. Floating-point initialisers become trainable parameters under their own names; nodes are named after
    their ONNX results. Operators that netwright has no op for are expressed by others, recurrent ones and loops with a
    known count are unrolled. Nothing in the file is executed; external data is read from the model's own folder only.

    Raises UserError in one line that names file, node, operator and what is missing; MissingExtra without the onnx
    package.
    """
    onnx_module()
    file = _file_name(model_or_path)
    try:
        model, size, folder = _model_of(model_or_path, file)
        return _graph_of(model, size, folder, file, dict(shapes or {}), dict(constants or {}), name)
    except Located as error:
        raise UserError(str(error)) from None
    except UserError as error:
        raise UserError(one_line(str(error) if str(error).startswith(file) else f"{file}: {error}")) from None
    except DAMAGE as error:
        raise UserError(f"{file}: not a model that netwright can read: {one_line(error)}") from None


def _file_name(given: Any) -> str:
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    return "the model"


def _model_of(given: Any, file: str) -> tuple[Any, int, Path | None]:
    """The onnx.ModelProto, the file's bytes, and the folder where external data may lie."""
    from google.protobuf.message import DecodeError

    onnx = onnx_module()
    if isinstance(given, onnx.ModelProto):
        return given, given.ByteSize(), None
    folder = None
    data = given
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        try:
            data, folder = path.read_bytes(), path.parent
        except OSError as error:
            raise UserError(f"{file}: {error.strerror or error}") from None
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UserError(f"from_onnx takes a path, bytes or an onnx.ModelProto, not {type(given).__name__}")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(bytes(data))
    except DecodeError:
        raise UserError(f"{file}: not an ONNX model, or cut short: its {len(data)} bytes do not parse") from None
    if not model.graph.node and not model.graph.output:
        raise UserError(f"{file}: not an ONNX model: it holds no graph")
    return model, len(data), folder


def _opsets(model: Any) -> dict[str, int]:
    opsets = {domain_of(o): int(o.version) for o in model.opset_import}
    standard = opsets.setdefault("", 1)
    if not OLDEST <= standard <= NEWEST:
        raise UserError(
            f"it uses opset {standard} of the standard, netwright reads {OLDEST} to {NEWEST}: "
            "convert it with onnx.version_converter, or export it anew"
        )
    return opsets


def _graph_of(
    model: Any, size: int, folder: Path | None, file: str,
    shapes: dict[str, int | tuple[int, ...]], constants: dict[str, Any], name: str | None,
) -> Graph:  # fmt: skip
    proto = model.graph
    for text in _texts(proto):
        if isinstance(text, bytes):  # what protobuf gives for bytes that are no UTF-8
            raise UserError(f"it holds a name that is no UTF-8 text: {text[:40]!r}")
    im = Import((name or proto.name or "net")[:LONGEST_NAME], file, _opsets(model), size)
    im.folder = folder
    im.functions = {(domain_of(f), f.name): f for f in model.functions}
    names: Names = {}
    if proto.sparse_initializer:
        raise UserError("it holds sparse initialisers, which are not supported: store them dense")
    for tensor in proto.initializer:
        if not tensor.name or tensor.name in names:
            raise UserError(f"two initialisers are called {tensor.name!r}" if tensor.name else "a nameless initialiser")
        array = array_of(tensor, folder)
        names[tensor.name] = Known(array, tensor.name, str(array.dtype) in FLOATS)
    _inputs(im, proto, names, shapes, constants)
    outputs = [value.name for value in proto.output]
    if len(set(outputs)) != len(outputs) or not all(outputs):
        raise UserError("two outputs have one name" if all(outputs) else "an output has no name")
    read_body(im, proto.node, names, outputs)
    values = []
    for output in outputs:
        if output not in names:
            raise UserError(f"output {output!r} is made by no node")
        if isinstance(names[output], Sequence):
            raise UserError(f"output {output!r} is a sequence: only tensors are supported")
        value = im.value(names[output])
        if value.name != output and value not in values and any(value in node.outputs for node in im.b._nodes):
            value.name = im.b.unique(output)
        values.append(value)
    im.b.output(*values)
    return without_unread_params(im.b.graph())


def _texts(graph: Any) -> Iterator[Any]:
    """Every name in an onnx.GraphProto, as protobuf gives it."""
    yield graph.name
    for value in (*graph.input, *graph.output):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            yield attribute.ref_attr_name
            for inner in ((attribute.g,) if attribute.HasField("g") else ()) + tuple(attribute.graphs):
                yield from _texts(inner)


def _inputs(
    im: Import, proto: Any, names: Names, shapes: dict[str, int | tuple[int, ...]], constants: dict[str, Any]
) -> None:
    """Bind every input of the model that has no initialiser. Raises UserError for a dimension left open."""
    inputs = [value for value in proto.input if value.name not in names]
    for value in inputs:
        if not value.name or value.name in names:
            raise UserError(f"two inputs are called {value.name!r}" if value.name else "an input has no name")
        names[value.name] = Known(0)  # taken; bound below
    symbols: dict[str, int] = {}
    known = {value.name for value in inputs}
    for value in inputs:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:
                known.add(dim.dim_param)
                bound = shapes.get(dim.dim_param)
                if isinstance(bound, int | np.integer):
                    symbols[dim.dim_param] = _dimension(int(bound), dim.dim_param)
                elif axis == 0 and value.name not in shapes:
                    symbols.setdefault(dim.dim_param, 1)
    free = {value.name for value in inputs}
    for key, bound in shapes.items():
        if key not in known:
            raise UserError(f"shapes names {key!r}, which is no input and no dimension of it{nearest(key, known)}")
        if isinstance(bound, tuple | list) != (key in free) and key not in symbols:
            form = "an input: give its whole shape" if key in free else "a dimension: give one number"
            raise UserError(f"shapes gives {key!r} as {bound!r}, but it is {form}")
    for key in constants:
        if key not in free:
            raise UserError(f"constants names {key!r}, which is no input{nearest(key, free)}")
    for value in inputs:
        if value.type.WhichOneof("value") != "tensor_type":
            kind = value.type.WhichOneof("value") or "untyped"
            raise UserError(f"input {value.name!r} is a {kind.removesuffix('_type')}: only tensors are supported")
        dtype = dtype_name(value.type.tensor_type.elem_type, f"input {value.name!r}: ")
        if value.name in constants:
            array = np.asarray(constants[value.name])
            if array.dtype.kind not in "biuf":
                raise UserError(f"constants gives {value.name!r} as {array.dtype}; it is {dtype}")
            if not _agrees(value.type.tensor_type, array.shape):
                shown = _shown(value.type.tensor_type.shape)
                raise UserError(f"constants gives {value.name!r} in shape {list(array.shape)}, the model has {shown}")
            names[value.name] = Known(array.astype(dtype), value.name)
            continue
        if dtype not in DTYPES:
            raise UserError(f"input {value.name!r} is {dtype}, which graphs do not have ({', '.join(DTYPES)})")
        type = Type(_shape(value, shapes, symbols), dtype)
        if type.size > MOST_ELEMENTS:
            raise UserError(f"input {value.name!r} of shape {list(type.shape)[:8]} has over {MOST_ELEMENTS:,} elements")
        names[value.name] = im.b.input(value.name, type)


def _dimension(size: Any, what: str) -> int:
    if not isinstance(size, int | np.integer) or not 0 <= size <= _LARGEST_DIMENSION:
        raise UserError(f"dimension {what!r} cannot be {size!r}: give a whole number of at least 0")
    return int(size)


def _shape(value: Any, shapes: dict[str, int | tuple[int, ...]], symbols: dict[str, int]) -> tuple[int, ...]:
    tensor = value.type.tensor_type
    given = shapes.get(value.name)
    if isinstance(given, tuple | list):
        shape = tuple(_dimension(d, value.name) for d in given)
        if not _agrees(tensor, shape):
            raise UserError(f"shapes gives {value.name!r} as {list(shape)}, the model has {_shown(tensor.shape)}")
        return shape
    if not tensor.HasField("shape"):
        raise UserError(f"input {value.name!r} has no shape: give shapes={{{value.name!r}: (...)}}")
    found = []
    for axis, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            found.append(_dimension(dim.dim_value, value.name))
        elif dim.dim_param in symbols:
            found.append(symbols[dim.dim_param])
        elif axis == 0:
            found.append(1)
        else:
            sizes = ", ".join(str(d.dim_value) if d.dim_value > 0 else "n" for d in tensor.shape.dim)
            by_name = f"shapes={{{dim.dim_param!r}: n}} or " if dim.dim_param else ""
            raise UserError(
                f"input {value.name!r} is {_shown(tensor.shape)}: bind dimension {dim.dim_param or axis!r} by "
                f"{by_name}shapes={{{value.name!r}: ({sizes})}}"
            )
    return tuple(found)


def _agrees(tensor: Any, shape: tuple[int, ...]) -> bool:
    """Whether a shape fits the ranks and fixed dimensions that the model declares."""
    fixed = [d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in tensor.shape.dim]
    agree = len(fixed) == len(shape) and all(f is None or f == d for f, d in zip(fixed, shape))
    return agree or not tensor.HasField("shape")


def _shown(shape: Any) -> str:
    return "[" + ", ".join(d.dim_param or (str(d.dim_value) if d.dim_value > 0 else "?") for d in shape.dim) + "]"


