"""The executor: runs MIL programs and their weight files, in the Neural Engine's arithmetic, on any machine.

    ready = prepare(program, folder, Numerics(matmul_ceiling=32752.0))     # folder: where its weight files are
    ready.run({"x": x})["y"]                                               # outputs in their own element types

`numerics.py` has the switches and the rounding, `call.py` what an op's file sees of a statement, `executable.py` the
preparation and the loop, and `ops/` one small file a family of ops. To add an op is to add a function there.
"""

from __future__ import annotations

from .executable import Executable, prepare, result_types
from .numerics import Numerics
from .registry import OPS

__all__ = ["OPS", "Executable", "Numerics", "prepare", "result_types"]
