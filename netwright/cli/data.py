"""netwright data"""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json

EXAMPLES = "Example: netwright data --data ~/netwright-data"


def command(
    data: Annotated[str | None, typer.Option(help="Folder of recorded data; else NETWRIGHT_DATA.")] = None,
    as_json: Json = False,
) -> None:
    """List the recorded data sets: found or not, what each is for, licence, public origin."""
    from netwright import recorded

    from . import show

    rows = recorded.listing(data)
    if as_json:
        show.as_json({"data": rows})
        return
    show.table(
        "",
        ("set", "", "for", "licence", "origin"),
        [(r["name"], "found" if r["found"] else "not found", r["use"], r["licence"], r["origin"]) for r in rows],
    )
