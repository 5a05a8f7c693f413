"""Sizes of surfaces. A correct host keeps these whatever the program declares; lint says what it has to do."""

from __future__ import annotations

from collections.abc import Sequence

from ..mil import Variable
from ..passes.uniform import LEAST
from .rule import EVALUATE, ORION, WRONG, Found, Sight, rule


def _sizes(variables: Sequence[Variable], given: tuple[int, ...] | None) -> dict[str, int]:
    """Name -> bytes allocated: as given, in alphabetical order; else as declared."""
    if given is None:
        return {v.name: v.type.bytes for v in variables}
    return dict(zip(sorted(v.name for v in variables), given))


def _unequal(what: str, sizes: dict[str, int]) -> Found:
    if len(set(sizes.values())) > 1:
        yield what, "bytes differ: " + ", ".join(f"{n} {s:,}" for n, s in sizes.items())


@rule("R2", "runtime", EVALUATE, "all outputs need surfaces of one size (status 0x1d)",
      "allocate every output at the largest size", ORION, by_host=True)
def unequal_outputs(sight: Sight) -> Found:
    return _unequal("outputs", _sizes(sight.outputs, sight.surfaces.outputs if sight.surfaces else None))


@rule("R12", "runtime", EVALUATE, "all inputs need surfaces of one size (status 0x1d)",
      "allocate every input at the largest size, write packed (R14)", ORION, by_host=True)
def unequal_inputs(sight: Sight) -> Found:
    return _unequal("inputs", _sizes(sight.function.inputs, sight.surfaces.inputs if sight.surfaces else None))


@rule("R4", "runtime", EVALUATE, f"surfaces below {LEAST:,} bytes are refused (status 0x1d)",
      f"allocate at least {LEAST:,} bytes, write packed (R14)", ORION, by_host=True)
def small(sight: Sight) -> Found:
    given = sight.surfaces
    sizes = _sizes(sight.function.inputs, given.inputs if given else None)
    sizes |= _sizes(sight.outputs, given.outputs if given else None)
    for name, size in sizes.items():
        if size < LEAST:
            yield name, f"{size:,} bytes, the least is {LEAST:,}"


@rule("R14", "runtime", WRONG, "a surface larger than declared is read as packed data, without row strides",
      "write the C S values one after the other at the start", ORION, by_host=True)
def strided(sight: Sight) -> Found:
    for name, (stride, declared) in sight.written.items():
        if stride != declared:
            yield name, f"rows written {stride} elements apart, read {declared} apart"


RULES = (unequal_outputs, unequal_inputs, small, strided)
