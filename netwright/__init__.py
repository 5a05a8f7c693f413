"""netwright takes a task and a device and gives back a neural network that provably runs there.

import netwright

study = netwright.fit("digits", "cortex-m4", ram="4KB", flash="32KB", latency="20ms")
graph = netwright.load("netwright-out/digits-cortex-m4")     # Graph; graph.run(x) is the NumPy reference
graph = netwright.from_torch(module, example)                # the same from a torch module
device = netwright.device("cortex-m7", ram="64KB")
device.check(graph), device.cost(graph)                      # broken rules; modelled profile
program = device.compile(graph, out="build")
program.run(x), program.profile(x)                           # on the emulated core
table = netwright.benchmark("nb201", data)                       # recorded; table.query(candidate, signal="val12")
space = netwright.search_over(graph, {"*.relu": Choice(("relu", "hard_swish"))})   # or a torch module: its variants
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .devices import get as device
    from .estimate.tables import get as benchmark
    from .graph import load
    from .graph.torch import from_torch
    from .spaces.mutable import search_over
    from .study import fit as fit

__version__ = "0.1.0"
__all__ = ["__version__", "benchmark", "device", "fit", "from_torch", "load", "search_over"]

_PLACES = {
    "device": ("devices", "get"),
    "load": ("graph", "load"),
    "benchmark": ("estimate.tables", "get"),
    "fit": ("study", "fit"),
    "from_torch": ("graph.torch", "from_torch"),
    "search_over": ("spaces.mutable", "search_over"),
}


def __getattr__(name: str) -> Any:
    """The entry points, imported when first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'netwright' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _PLACES[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
