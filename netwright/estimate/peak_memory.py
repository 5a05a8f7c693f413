"""Peak activation memory, by the same plan that the compiler makes."""

from __future__ import annotations

from netwright.compile.int8 import lower
from netwright.devices.c import arranged, planned
from netwright.graph import Graph
from netwright.graph.types import FLOATS


def estimator(graph: Graph) -> dict[str, float]:
    """{"peak_memory_bytes": arena of the int8 form}; UserError where an op has none."""
    floating = any(v.dtype in FLOATS for v in graph.inputs)
    return {"peak_memory_bytes": float(planned(arranged(lower(graph) if floating else graph)).bytes)}
