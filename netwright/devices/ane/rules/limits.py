"""Sizes and types that compile."""

from __future__ import annotations

from math import prod

from .rule import COMPILE, FRONT_END, WRONG, Found, Sight, rule

LONGEST_NORM = 8192
INNER = 32


@rule("L1", "program", COMPILE, "at most 5 axes", "merge axes", FRONT_END)
def rank(sight: Sight) -> Found:
    for name, type in sight.types.items():
        if len(type.shape) > 5:
            yield name, f"{len(type.shape)} axes"


@rule("L2", "program", COMPILE, "axes have 1 to 65,536 elements, those of images and of inner products fewer",
      "split the axis", FRONT_END)
def axes(sight: Sight) -> Found:
    bounds = sight.profile.bounds
    for name, type in sight.types.items():
        if any(not 1 <= n <= bounds.axis for n in type.shape):
            yield name, f"{type}: an axis beyond {bounds.axis:,}"
    for statement in sight.function.statements:
        x = dict(statement.args).get("x")
        shape = sight.types[x].shape if isinstance(x, str) and x in sight.types else ()
        wide = shape[2:] if statement.op == "conv" else shape[-1:] if statement.op == "matmul" else ()
        if any(n > bounds.spatial for n in wide):
            yield statement.name, f"{statement.op} of {list(shape)}: an axis beyond {bounds.spatial:,}"


@rule("L3", "program", COMPILE, "kernels of convolutions are at most 13 (M1) or 15 wide", "split the kernel", FRONT_END)
def kernel(sight: Sight) -> Found:
    most = sight.profile.bounds.kernel_width
    for statement in sight.function.statements:
        w = dict(statement.args).get("weight")
        if statement.op == "conv" and isinstance(w, str) and w in sight.types and sight.types[w].shape[-1] > most:
            yield statement.name, f"a kernel {sight.types[w].shape[-1]} wide, the widest is {most}"


@rule("L4", "program", COMPILE, "inputs and outputs are fp16 or fp32", "cast inside, or keep integers on the host",
      FRONT_END)
def ends(sight: Sight) -> Found:
    for variable in (*sight.function.inputs, *sight.outputs):
        if variable.type.dtype not in ("fp16", "fp32"):
            yield variable.name, f"is {variable.type.dtype}"


@rule("L11", "program", WRONG, "inner sizes of products that are no multiple of 32 give silent zeros",
      "pad the inner axis", "a third report in the first project's issues")
def inner(sight: Sight) -> Found:
    for statement in sight.function.statements:
        args = dict(statement.args)
        x, y = args.get("x"), args.get("y")
        if statement.op != "matmul" or x not in sight.types or y not in sight.types:
            continue
        each_x, each_y = (prod(sight.types[str(v)].shape[-2:]) for v in (x, y))
        size = round((each_x * each_y / max(1, prod(statement.results[0].type.shape[-2:]))) ** 0.5)
        if size % INNER:
            yield statement.name, f"an inner size of {size}"


@rule("L12", "program", COMPILE, f"`layer_norm` over more than {LONGEST_NORM:,} elements is refused", "spell it out",
      FRONT_END)
def layer_norm(sight: Sight) -> Found:
    for statement in sight.function.statements:
        args = dict(statement.args)
        x, named = args.get("x"), args.get("axes")
        if statement.op != "layer_norm" or x not in sight.types:
            continue
        value = sight.known.get(str(named))
        shape = sight.types[str(x)].shape
        size = prod(shape[int(a)] for a in value.values) if value is not None else 0
        if size > LONGEST_NORM:
            yield statement.name, f"over {size:,} elements"


RULES = (rank, axes, kernel, ends, inner, layer_norm)
