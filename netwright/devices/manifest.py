"""What a compiled folder says of itself: `netwright.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.graph import Graph
from netwright.graph.ops.quantise import Dequantise, Quantise
from netwright.graph.types import FLOATS, parse_type

from .device import Entry

MANIFEST = "netwright.json"


def is_float(graph: Graph) -> bool:
    """Whether a network computes in floating point; integers between float ends (Quantise, Dequantise) do not."""
    ends = (*graph.inputs, *graph.outputs)
    if all(v.dtype not in FLOATS for v in ends):
        return False
    inner = [n for n in graph.nodes if not isinstance(n.op, (Quantise, Dequantise))]
    read = (v for n in inner for v in (*n.inputs, *n.outputs) if v is not None and v not in graph.param_of)
    return len(inner) == len(graph.nodes) or any(v.dtype in FLOATS for v in read)


def entries_json(graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """Entries as the manifest has them."""
    return {
        name: {kind: [[n, str(t)] for n, t in getattr(Entry.of(g), kind)] for kind in ("inputs", "outputs")}
        for name, g in graphs.items()
    }


def entries_from(table: Mapping[str, Any]) -> dict[str, Entry]:
    """Inverse of `entries_json`."""
    return {
        name: Entry(*(tuple((n, parse_type(t)) for n, t in entry[kind]) for kind in ("inputs", "outputs")))
        for name, entry in table.items()
    }
