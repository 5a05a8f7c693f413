"""MIL to MIL (Orion 2026, section 4): what is left out, joined, or only worked out.

    program, applied = optimise(program, profile)      # identity, casts, dead code to a fixed point; bias where allowed

`sram.working_set(function)` and `uniform.allocation(variables)` change nothing: they say what the rules and the runtime
need to know.
"""

from __future__ import annotations

from dataclasses import replace

from ..mil import Function, Program
from ..profile import AneProfile
from . import bias, casts, dead, identity, sram, uniform

ROUNDS = 20


def optimise(program: Program, profile: AneProfile) -> Program:
    """Every function simplified; no value that the program gives is changed."""
    return replace(program, functions=tuple(_optimised(f, profile) for f in program.functions))


def _optimised(function: Function, profile: AneProfile) -> Function:
    for _ in range(ROUNDS):
        before = function
        function = dead.eliminate(casts.fuse(identity.eliminate(function)))
        if function == before:
            break
    return function if profile.holds("R16") else dead.eliminate(bias.fuse(function))


__all__ = ["bias", "casts", "dead", "identity", "optimise", "sram", "uniform"]
