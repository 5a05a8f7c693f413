"""The Apple Neural Engine: programs in Apple's MIL language, their weight files, and an executor that runs them.

    program = mil.parse(text)                       # MIL text -> plain immutable data; mil.to_text(program) back
    weights.write("weights.bin", [w1, w2])          # the weight file that BLOBFILE constants point into
    ready = files.load("model.mil")                 # text and weight files, or an .mlpackage, prepared once
    ready.run({"x": x})["y"]                        # in the engine's arithmetic: fp16 values, wide accumulators
    print(files.diff("a.mil", "b.mlpackage"))       # what sets two programs apart
    rules.lint("model.mil", "m4max-orion")          # which restrictions of a device and tool chain it breaks
    lower.lower(graph, profile.load("strict"))      # a Graph as a program that breaks none
    simulator.Simulator(profile.load("m5-baked"))   # the driver's contract, down to its silent faults
    training.train(network, "story.txt", ...)       # a language model whose layers are programs, both ways
    macos.Macos(profile.load("m4max-orion"))        # the same calls on a Mac's engine; not verified on hardware

`bench.py` times a language model's programs, `budget.py` replaces a process that has compiled enough (R5).

The device `ane` (`ane:m5-baked` under another profile) puts these together: check, cost, compile, run.

`mil/` is the language, `weights.py` the weight file, `execute/` the executor, `package/` ML Program packages. Nothing
here needs macOS; only `package/` needs the extra `ane` (Core ML tools), when it is used.
"""

from __future__ import annotations

from typing import Any

OPTION = "a profile, such as ane:m5-baked"


def _device(profile: str | None = None) -> Any:
    from .device import Ane

    return Ane(profile) if profile is not None else Ane()


def open_program(folder: Any) -> Any:
    """The program in a compiled folder. Raises UserError when there is none."""
    from .device import AneProgram

    return AneProgram(folder)


DEVICES = {"ane": _device}
