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

    from . import printing

    rows = recorded.listing(data)
    if as_json:
        printing.as_json({"data": rows})
        return
    from rich.padding import Padding
    from rich.text import Text

    for row in rows:
        name = Text.assemble((row["name"], "bold"), "  ", ("found", "green") if row["found"] else ("not found", "dim"))
        about = Text("\n".join(filter(None, (row["use"], row["note"]))))
        about.append(f"\n{row['licence']} · {row['origin']}", "dim")
        printing.out.print(name)
        printing.out.print(Padding(about, (0, 0, 0, 4)))
    found = sum(row["found"] for row in rows)
    hint = "" if found else "; name the folder that holds them with --data or NETWRIGHT_DATA"
    printing.out.print(f"\n{found} of {len(rows)} sets found{hint}")
