"""What one evaluation of a function takes, and how long that would be: modelled (Orion 2026, section 13)."""

from __future__ import annotations

from math import prod

from .mil import Function, Statement, TensorType
from .passes.sram import weight_bytes, working_set
from .profile import AneProfile


def flops(statement: Statement, types: dict[str, TensorType]) -> int:
    """Floating-point operations: two a multiply-accumulate in `conv`, `linear`, `matmul`, one an element elsewhere."""
    out = statement.results[0].type
    args = {key: types[a] for key, a in statement.args if isinstance(a, str) and a in types}
    if statement.op in ("conv", "linear") and "weight" in args:
        return 2 * out.size * prod(args["weight"].shape[1:])
    if statement.op == "matmul" and {"x", "y"} <= set(args):
        x, y = args["x"], args["y"]
        # inner^2 = |x| |y| / (rows columns of every batch)
        batch = prod(out.shape[:-2])
        each_x, each_y, each = prod(x.shape[-2:]), prod(y.shape[-2:]), prod(out.shape[-2:])
        return 2 * batch * round((each_x * each_y * each) ** 0.5)
    return 0 if statement.op in ("const", "reshape", "identity") else out.size


def latency_ms(function: Function, profile: AneProfile) -> float:
    """Modelled milliseconds of one call: dispatch + max(FLOPs / peak, bytes / bandwidth), more beyond the SRAM."""
    types = function.types()
    work = sum(flops(s, types) for s in function.statements)
    ends = [v.type.bytes for v in function.inputs] + [types[o].bytes for o in function.outputs if o in types]
    return profile.latency.ms(work, weight_bytes(function) + sum(ends), working_set(function))
