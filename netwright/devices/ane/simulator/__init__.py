"""The Neural Engine's contract, simulated: what a driver of the real one meets, down to its silent faults.

    sim = Simulator(profile.load("m4max-orion"))
    handle = sim.compile(text, {"weights/weight.bin": data})         # bytes and a dictionary, as the device wants them
    sim.load(handle)
    status = sim.evaluate(handle, [Surface(49_152)], [Surface(49_152)])
    sim.unload(handle)

Breaking a rule has the catalogued consequence: `Refused` with the device's own (often empty) text, a status of 0x1d,
wrong data, or more modelled time; `sim.log` says which rule it was. `Kernel` is the host that does everything right.
"""

from __future__ import annotations

from .kernel import Kernel
from .machine import BAD_SURFACE, OK, Crash, Handle, Refused, Simulator
from .surface import Surface

__all__ = ["BAD_SURFACE", "OK", "Crash", "Handle", "Kernel", "Refused", "Simulator", "Surface"]
