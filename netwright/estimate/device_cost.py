"""What a device's cost model says: all of it modelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.devices import Device
from netwright.graph import Graph


def estimator(graph: Graph, *, device: Device, options: Mapping[str, Any] | None = None) -> dict[str, float]:
    """{"latency_ms", "ram_bytes", "flash_bytes", "instructions"} on `device`."""
    cost = device.cost(graph, options)
    return {
        "latency_ms": cost.latency_ms_modelled,
        "ram_bytes": float(cost.ram_total),
        "flash_bytes": float(cost.flash_total),
        "instructions": float(cost.instructions),
    }
