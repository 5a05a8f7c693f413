"""netwright reproduce"""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json

EXAMPLES = "Example: netwright reproduce NAME --json"


def command(
    name: Annotated[str, typer.Argument(help="A system (see `netwright systems`).")],
    data: Annotated[str | None, typer.Option(help="Folder of recorded data; else NETWRIGHT_DATA.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Run a published system's measurable claims: published value, ours, and what differs in the conditions."""
    from netwright import systems

    from . import printing

    rows = systems.reproduce(systems.get(name), data=data, seed=seed, report=None if as_json else printing.err.print)
    if as_json:
        printing.as_json({"claims": rows})
    else:
        printing.table(
            name,
            ("claim", "published", "ours", "", "conditions", "note"),
            [
                (
                    r["claim"],
                    r["published"],
                    f"{r['ours']:.6g} {r['unit']}",
                    "holds" if r["holds"] else "does not hold",
                    r["conditions"],
                    r["note"],
                )
                for r in rows
            ],
            right=(2,),
        )
    if not all(r["holds"] for r in rows):
        raise typer.Exit(1)
