"""Graph to MIL: one small file a family of ops.

    made = lower(graph, profile.load("m4max-orion"))
    made.program, made.weights, made.inputs, made.outputs      # text to be, constants to be written, ports in order
    for fix in made.applied: print(fix)                        # R10: up: gelu spelled out in its tanh form

`layout.py` says where values lie, `writer.py` makes statements, `lowering.py` walks the Graph. To add an op is to add
a function to the file of its family. Element arithmetic is fp16; sequences lie as [1, C, 1, S], linear layers are 1x1
convolutions (Orion 2026, section 1).
"""

from __future__ import annotations

from . import activations, attention, conv, elementwise, linear, norm, pool, reduce, shapes  # noqa: F401
from .lowering import Applied, Lowered, Port, lower, simplified
from .writer import Weight

__all__ = ["Applied", "Lowered", "Port", "Weight", "lower", "simplified"]
