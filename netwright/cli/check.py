"""netwright check"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import (
    Clock,
    Constant,
    Flash,
    InputOutside,
    IntegerEnds,
    Json,
    Latency,
    Model,
    Patches,
    Ram,
    Shape,
    load_model,
)

EXAMPLES = """Examples:

netwright check model.tflite

netwright check model.onnx --device cortex-m4 --ram 64KB --latency 50ms

netwright check netwright-out/digits-cortex-m4 --details --json

netwright check model.tflite --device cortex-m4 --ram 32KB --patches auto --input-outside
"""


def command(
    model: Model,
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Only this device (or a board.toml); all when left out.")
    ] = None,
    ram: Ram = None,
    flash: Flash = None,
    latency: Latency = None,
    clock: Clock = None,
    shape: Shape = None,
    constant: Constant = None,
    patches: Patches = "none",
    input_outside: InputOutside = False,
    integer_ends: IntegerEnds = False,
    details: Annotated[
        bool, typer.Option("--details", help="Every broken rule with its advice; so with one device.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Does a network fit, on every device: what it would cost, each broken rule and what mends it."""
    from netwright import devices
    from netwright.compile import ends
    from netwright.errors import UserError

    from . import printing

    graph = load_model(model, shape, constant)
    if integer_ends:
        graph = ends.integer(graph)
    floating = devices.is_float(graph)
    options = {"patches": patches, "input": "outside" if input_outside else "arena"}
    found: dict[str, Any] = {}
    rows = []
    broken = []
    for name in [device] if device else devices.names():
        chosen = devices.get(name, ram=ram, flash=flash, latency=latency, clock=clock)
        cost = None
        try:
            violations = chosen.refused(graph, options)
            if not violations:
                chosen.lowered(graph)
        except UserError as error:
            violations = [devices.Violation("M1", graph.name, str(error), "replace that op")]
        if not violations:  # what is raised from here on is about the options
            violations = chosen.check(graph, options)
            cost = chosen.cost(graph, options) if all(v.rule != "H1" for v in violations) else None
        found[chosen.name] = {
            "fits": not violations,
            "violations": [vars(v) for v in violations],
            "profile": cost.to_json() if cost is not None else None,
        }
        limits = chosen.limits
        rows.append(
            (
                chosen.name,
                "fits" if not violations else "does not fit" if cost else "cannot run it",
                _of(cost.ram_total, limits.ram_bytes) if cost else "-",
                _of(cost.flash_total, limits.flash_bytes) if cost else "-",
                f"{cost.latency_ms_modelled:,.2f}" if cost and cost.latency_ms_modelled else "-",
            )
        )
        broken += [f"{chosen.name}: {v}" for v in violations]
    if as_json:
        printing.as_json({"devices": found})
    else:
        title = f"{graph.name}: {graph.macs:,} MACs, {len(graph.nodes)} nodes; all figures modelled"
        columns = ("device", "", "RAM, B", "Flash, B", "ms")
        printing.table(title, columns, rows, right=(2, 3, 4))
        if floating:
            printing.out.print(
                "A float32 network: on microcontrollers the figures are those of its int8 form, which "
                "`netwright quantize` makes."
            )
        if broken and (details or device):
            for line in broken:
                printing.out.print(line, markup=False, soft_wrap=True)
        elif broken:
            printing.out.print("What breaks each rule and what mends it: --details, or --device NAME")
    asked = list(found.values())
    if device and not asked[0]["fits"]:
        raise typer.Exit(1)


def _of(used: int, limit: int | None) -> str:
    """`55,672 > 32 KB` where it is too much, `55,672 of 256 KB` where it is not."""
    if limit is None:
        return f"{used:,}"
    unit, size = ("MB", 1 << 20) if limit % (1 << 20) == 0 else ("KB", 1 << 10)
    shown = f"{limit // size:,} {unit}" if limit % size == 0 else f"{limit:,}"
    return f"{used:,} {'of' if used <= limit else '>'} {shown}"
