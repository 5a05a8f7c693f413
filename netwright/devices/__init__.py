"""Devices: one description of limits, costs, rules, compiler and emulator, read by search, trainer and compiler alike.

    device = get("cortex-m4", ram="64KB", flash="256KB", latency="50ms")
    device.check(graph)            # broken rules, each with what mends it; empty when the network fits
    device.cost(graph)             # a Profile from the cost model: everything in it is modelled
    program = device.compile(graph, out="build")
    program.run(x)                 # the artefact itself, on hardware or an emulator of it
    program.profile(x)             # a Profile: counts measured, cycles modelled

A device takes float graphs as they would be after conversion to int8 (structure only), and integer graphs as they are.
To add a family of devices is to add a package here; `registry.py` says what it has.
"""

from __future__ import annotations

from .device import Cost, Device, Entry, Limits, Profile, Program, Rule, Violation
from .manifest import is_float
from .registry import get, names, open_program

__all__ = [
    "Cost",
    "Device",
    "Entry",
    "Limits",
    "Profile",
    "Program",
    "Rule",
    "Violation",
    "get",
    "is_float",
    "names",
    "open_program",
]
