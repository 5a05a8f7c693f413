"""How the compiler and the driver are called."""

from __future__ import annotations

from ..cost import latency_ms
from .rule import COMPILE, CRASH, ORION, SLOW, Found, Sight, rule


@rule("R5", "runtime", COMPILE, "after about 119 compiles a process can compile no more, without saying so",
      "keep programs in a cache, reload weights, or start the process anew from a checkpoint", ORION, by_host=True)
def budget(sight: Sight) -> Found:
    if sight.compiles is not None and sight.compiles > sight.profile.compile_budget:
        yield "process", f"compile {sight.compiles} of {sight.profile.compile_budget}"


@rule("R9", "runtime", CRASH, "the text must be raw UTF-8 bytes, not a string object", "encode it first", ORION,
      by_host=True)
def text_object(sight: Sight) -> Found:
    if sight.handed is not None and not isinstance(sight.handed[0], bytes):
        yield "text", f"a {type(sight.handed[0]).__name__}"


@rule("R11", "runtime", CRASH, "a program without weights still needs an empty dictionary", "hand over {}", ORION,
      by_host=True)
def null_weights(sight: Sight) -> Found:
    if sight.handed is not None and sight.handed[1] is None:
        yield "weights", "null"


@rule("R19", "runtime", SLOW, "every call costs a fixed time, one call at a time",
      "fuse deeper graphs into one program", ORION, by_host=True)
def dispatch(sight: Sight) -> Found:
    fixed = sight.profile.latency.dispatch_ms
    whole = latency_ms(sight.function, sight.profile)
    if whole < 2 * fixed:
        yield "program", f"{fixed:g} ms of the call's {whole:.3f} ms (modelled) are dispatch"


RULES = (budget, text_object, null_weights, dispatch)
