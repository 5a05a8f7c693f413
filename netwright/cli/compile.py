"""netwright compile"""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    Clock,
    Compiler,
    Constant,
    DeviceName,
    Flash,
    InputOutside,
    IntegerEnds,
    Json,
    Latency,
    Model,
    Out,
    Patches,
    Ram,
    Shape,
    Tune,
    load_model,
)

EXAMPLES = """Examples:

netwright compile model.tflite --device cortex-m4 -o build/

netwright compile netwright-out/digits-cortex-m4 --device cortex-m7 -o build/

netwright compile model.tflite --device cortex-m4 --compiler arm-none-eabi-gcc

netwright compile netwright-out/keywords-cortex-m4 --hops -o listening/

netwright compile model.tflite --device cortex-m4 --tune   # the quickest kernel for each layer

netwright compile model.onnx --device ane:m4max-orion --package

netwright compile my-network --device board.toml --ram 16KB --json

netwright compile model.tflite --ram 32KB --integer-ends --input-outside   # in patches, where 32 KB need them
"""


def command(
    model: Model,
    device: DeviceName = "cortex-m4",
    ram: Ram = None,
    flash: Flash = None,
    latency: Latency = None,
    clock: Clock = None,
    shape: Shape = None,
    constant: Constant = None,
    compiler: Compiler = "zig",
    tune: Tune = False,
    patches: Patches = "auto",
    input_outside: InputOutside = False,
    integer_ends: IntegerEnds = False,
    hops: Annotated[
        bool, typer.Option("--hops", help="Of a program that takes sound: take a hop a call, keep the rest as state.")
    ] = False,
    package: Annotated[
        bool, typer.Option("--package", help="For the Neural Engine: an .mlpackage beside the text (extra ane).")
    ] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Readable C and an ELF for a device, or MIL and weight files, run once on its emulator."""
    from netwright import devices
    from netwright.compile import ends
    from netwright.compile.stream import by_hops

    from . import printing

    graph = load_model(model, shape, constant)
    if integer_ends:
        graph = ends.integer(graph)
    if hops:
        graph = by_hops(graph)
    chosen = devices.get(device, ram=ram, flash=flash, latency=latency, clock=clock)
    with printing.working(f"compiling for {chosen.name}; the first time for a core takes a few seconds more", as_json):
        options = {"compiler": compiler, "patches": patches, "input": "outside" if input_outside else "arena"}
        if tune:
            options["tune"] = "yes"
        if package:
            options["package"] = "yes"
        program = chosen.compile(graph, options, out or f"{graph.name}-{chosen.name}")
        profile = program.profile()
    violation = profile.broken(chosen.limits)
    report = getattr(program, "report", "")  # of the rules that were kept, where a device has them
    kernels = getattr(program, "kernels", {})  # that were chosen, where a device can tune
    if as_json:
        printing.as_json(
            {
                "profile": profile.to_json(),
                "violations": [violation] if violation else [],
                "out": str(program.folder),
                **({"report": report.splitlines()} if report else {}),
                **({"kernels": kernels} if tune else {}),
            }
        )
    else:
        printing.profile(f"{graph.name} on {chosen.name}", profile)
        if tune:
            printing.kernels(kernels)
        if report:
            printing.out.print(report, markup=False, soft_wrap=True)
        if violation:
            printing.out.print(f"broken: {violation}", markup=False)
        printing.out.print(f"written to {program.folder}", markup=False, soft_wrap=True)
    if violation:
        raise typer.Exit(1)
