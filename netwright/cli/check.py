"""netwright check"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Clock, Flash, Json, Latency, Ram

EXAMPLES = """Examples:

netwright check netwright-out/digits-cortex-m4

netwright check my-network --device cortex-m0plus --ram 8KB --json
"""


def command(
    model: Annotated[str, typer.Argument(help="A folder that `fit` or `compile` wrote.")],
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Only this device (or a board.toml); all when left out.")
    ] = None,
    ram: Ram = None,
    flash: Flash = None,
    latency: Latency = None,
    clock: Clock = None,
    as_json: Json = False,
) -> None:
    """Does a network fit, on every device: what it would cost, each broken rule and what mends it."""
    from netwright import devices, load
    from netwright.errors import UserError

    from . import show

    graph = load(model)
    found: dict[str, Any] = {}
    rows = []
    broken = []
    for name in [device] if device else devices.names():
        chosen = devices.get(name, ram=ram, flash=flash, latency=latency, clock=clock)
        try:
            violations = chosen.check(graph)
            cost = chosen.cost(graph) if not any(v.rule in ("M1", "H1") for v in violations) else None
        except UserError as error:
            violations, cost = [devices.Violation("M1", graph.name, str(error), "replace that op")], None
        found[chosen.name] = {
            "fits": not violations,
            "violations": [vars(v) for v in violations],
            "profile": cost.to_json() if cost is not None else None,
        }
        limits = chosen.limits
        rows.append(
            (
                chosen.name,
                "fits" if not violations else "does not fit",
                f"{show.size(cost.ram_total)} / {show.size(limits.ram_bytes)}" if cost else "-",
                f"{show.size(cost.flash_total)} / {show.size(limits.flash_bytes)}" if cost else "-",
                f"{cost.latency_ms_modelled:.2f} ms" if cost and cost.instructions else "-",
            )
        )
        broken += [f"{chosen.name}: {v}" for v in violations]
    if as_json:
        show.as_json({"devices": found})
    else:
        title = f"{graph.name}: {graph.macs:,} MACs, {len(graph.nodes)} nodes"
        show.table(
            title, ("device", "", "RAM (modelled)", "Flash (modelled)", "latency (modelled)"), rows, right=(2, 3, 4)
        )
        for line in broken:
            show.out.print(line, markup=False, soft_wrap=True)
    asked = list(found.values())
    if device and not asked[0]["fits"]:
        raise typer.Exit(1)
