"""The network: one thing that cost models, trainers, compilers and code generators all read.

A `Graph` has typed `Value`s, `Node`s that apply `Op`s in topological order, named parameters that look into a `Store`,
and named states that carry memory from step to step. It is immutable; a pass builds a new one (`rebuild`).

    from netwright.graph import Builder, Type
    from netwright.graph.ops import Conv, Relu

    b = Builder("net")
    x = b.input("x", Type((1, 1, 8, 8)))
    w = b.param("conv.weight", (4, 1, 3, 3))
    b.output(b(Relu(), b(Conv(padding=(1, 1, 1, 1)), x, w)))
    graph = b.graph()
    print(graph)                                        # the text form; `parse` reads it back
    graph.structure_hash                                # keys costs and searches
    graph = graph.with_store(graph.store.initialise(graph))
    (y,) = graph.run(numpy_array)                       # the NumPy reference

Float graphs are laid out as ONNX has it (batch, channels, height, width), int8 graphs as TFLite has it (channels last).
`to_torch(graph)` is a trainable module, `to_onnx(graph)` an ONNX model; both live in modules imported when first used,
so this package needs NumPy only.
"""

from __future__ import annotations

from . import ops
from .builder import Builder, inline, live, rebuild
from .composite import expand_all
from .files import load, save
from .graph import Graph, Node, State, Value
from .op import OPS, Composite, Op
from .run import Runner
from .signature import by_signature
from .store import CentreCrop, Init, Mask, Param, Slice, Store, Transform
from .text import parse, to_text
from .types import Quant, Type

__all__ = [
    "OPS",
    "Builder",
    "CentreCrop",
    "Composite",
    "Graph",
    "Init",
    "Mask",
    "Node",
    "Op",
    "Param",
    "Quant",
    "Runner",
    "Slice",
    "State",
    "Store",
    "Transform",
    "Type",
    "Value",
    "by_signature",
    "expand_all",
    "inline",
    "live",
    "load",
    "ops",
    "parse",
    "rebuild",
    "save",
    "to_text",
]
