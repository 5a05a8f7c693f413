"""Functions are read in place: the model's own, and those by which ONNX defines some of its operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...types import Type
from ..export.exporter import onnx_module
from .body import Names, attribute_value, domain_of, read_body
from .entry import Entry
from .importer import Call, Import

_CODE = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13,
}  # fmt: skip


@contextmanager
def _frame(im: Import, opsets: Mapping[str, int], attributes: Mapping[str, Any]) -> Iterator[None]:
    before = im.opsets, im.attributes
    im.opsets, im.attributes = {**im.opsets, **opsets}, attributes
    try:
        yield
    finally:
        im.opsets, im.attributes = before


def local_function(call: Call) -> tuple[Entry, ...]:
    """A function of the model itself."""
    return _inline(call, call.im.functions[call.domain, call.op_type], call.attributes)


def standard_function(call: Call) -> tuple[Entry, ...]:
    """An operator that has no rule but that the standard defines by a function. Raises UserError for any other."""
    onnx = onnx_module()
    if not call.opset:
        raise call.refuse(f"netwright has no rule for this operator and the model imports no opset of {call.domain!r}")
    try:
        schema = onnx.defs.get_schema(call.op_type, call.opset, call.domain)
    except onnx.defs.SchemaError:
        raise call.refuse(
            "netwright has no rule for this operator: export the model with operators of the standard"
        ) from None
    attributes = {
        name: attribute_value(call.im, attribute.default_value)
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }
    function = onnx.FunctionProto()
    if schema.has_function:
        version = _nearest(schema.function_opset_versions, call.opset)
        function.ParseFromString(schema.get_function_with_opset_version(version))
    elif schema.has_context_dependent_function:
        version = _nearest(schema.context_dependent_function_opset_versions, call.opset)
        node = _with_attributes(onnx, call, schema)
        types = [_type_proto(onnx, e.type if e is not None else None).SerializeToString() for e in call.inputs]
        function.ParseFromString(
            schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        )
    else:
        raise call.refuse("netwright has no rule for this operator and the standard does not define it by others")
    return _inline(call, function, {**attributes, **call.attributes})


def _with_attributes(onnx: Any, call: Call, schema: Any) -> Any:
    """The node with every attribute spelt out: those of the function around it, then the operator's defaults."""
    node = onnx.NodeProto()
    node.CopyFrom(call.proto)
    del node.attribute[:]
    for attribute in call.proto.attribute:
        if not attribute.ref_attr_name:
            node.attribute.append(attribute)
        elif attribute.name in call.attributes:
            node.attribute.append(onnx.helper.make_attribute(attribute.name, call.attributes[attribute.name]))
    given = {a.name for a in node.attribute}
    node.attribute.extend(
        a.default_value for k, a in schema.attributes.items() if k not in given and a.default_value.name
    )
    return node


def _nearest(versions: list[int], opset: int) -> int:
    return max((v for v in versions if v <= opset), default=min(versions))


def _type_proto(onnx: Any, type: Type | None) -> Any:
    if type is None:
        return onnx.TypeProto()
    return onnx.helper.make_tensor_type_proto(_CODE[type.dtype], list(type.shape))


def _inline(call: Call, function: Any, given: Mapping[str, Any]) -> tuple[Entry, ...]:
    im = call.im
    defaults = {a.name: attribute_value(im, a) for a in function.attribute_proto}
    names: Names = {
        name: entry for name, entry in zip(function.input, call.inputs) if entry is not None and name
    }
    absent = set(function.input) - set(names)
    nodes = []
    for node in function.node:
        if absent & set(node.input):
            kept = type(node)()
            kept.CopyFrom(node)
            kept.input[:] = ["" if name in absent else name for name in node.input]
            node = kept
        nodes.append(node)
    wanted = [name for name, asked in zip(function.output, call.outputs) if asked]
    opsets = {domain_of(o): int(o.version) for o in function.opset_import}
    with _frame(im, opsets, {**defaults, **given}):
        read_body(im, nodes, names, wanted)
    return tuple(names.get(name) for name in function.output)  # type: ignore[misc]
