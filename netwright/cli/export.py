"""netwright export"""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Compiler, Constant, Json, Model, Out, Shape, load_model

EXAMPLES = """Examples:

netwright export netwright-out/digits-cortex-m4 --as cmake -o digits/

netwright export model.tflite --device cortex-m4 --as arduino -o libraries/Model

netwright export build/ --as zephyr -o modules/model --overwrite
"""


def command(
    model: Model,
    kind: Annotated[str, typer.Option("--as", help="Whose library: cmake, arduino or zephyr.")],
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Compile for it; else for cortex-m4, or as the folder was compiled."),
    ] = None,
    shape: Shape = None,
    constant: Constant = None,
    compiler: Compiler = "zig",
    out: Out = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the library in --out.")] = False,
    as_json: Json = False,
) -> None:
    """A compiled network as a CMake, Arduino or Zephyr library: sources, C API, example, licence."""
    from pathlib import Path

    from netwright import devices
    from netwright.devices.c.export import Package, formats, write
    from netwright.devices.manifest import MANIFEST
    from netwright.errors import UserError, nearest

    from . import printing

    if kind not in formats():
        raise UserError(f"unknown format {kind!r}{nearest(kind, formats())}")
    with printing.working("compiling", as_json):
        if device is None and (Path(model) / MANIFEST).is_file():
            program = devices.open_program(model)
        else:
            graph = load_model(model, shape, constant)
            program = devices.get(device or "cortex-m4").compile(graph, {"compiler": compiler})
        package = Package.of(program)
    folder = write(package, kind, out or f"{package.name}-{kind}", overwrite)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    if as_json:
        printing.as_json(
            {
                "out": str(folder),
                "format": kind,
                "name": package.name,
                "device": package.device,
                "measured": dict(package.figures),
                "files": names,
            }
        )
        return
    printing.table(
        f"{package.name} as {formats()[kind].ABOUT}", ("measured on " + package.device, ""), list(package.figures)
    )
    printing.out.print(f"{len(names)} files written to {folder}", markup=False, soft_wrap=True)
