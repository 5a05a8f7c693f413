"""A graph made ready to step fast on this machine with NumPy: no allocation, no copy of a state, no dispatch by name.

    step = Prepared(graph)               # every buffer allocated, every op bound to its operands
    (logits,) = step.step(tokens, position)
    other = Prepared(longer, shares=step)    # another graph that goes on from the same states

`Runner` is the reference; this gives the same values but for the order of floating-point sums. `plan.py` lays out the
buffers, `kernels.py` has the ops that are worth more than their reference.
"""

from __future__ import annotations

from .plan import Prepared, Products

__all__ = ["Prepared", "Products"]
