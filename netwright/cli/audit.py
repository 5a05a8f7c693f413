"""netwright audit"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import Json

EXAMPLES = """Examples:

netwright compare nb201 --queries 100 --json --data DIR > found.json; netwright audit found.json

netwright audit claim.json --seeds 8
"""


def command(
    report: Annotated[
        Path,
        typer.Argument(help='JSON of `netwright compare --json`, or {"method": {...}, "baseline": {...}} of your own.'),
    ],
    seeds: Annotated[int, typer.Option(min=2, help="Runs that a claim needs.")] = 5,
    as_json: Json = False,
) -> None:
    """Check a claim about a search: baseline, seeds, recipes, budget, what it was selected by. Status 1 if it fails.

    A claim's "method" has "name", "values" (one a seed), "reported", "recipe", "budget" and "selected_by"; its
    "baseline" the same of random architectures.
    """
    import json

    from netwright.errors import UserError
    from netwright.study.audit import audit, claims

    from . import printing

    try:
        given = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{report}: {error}") from None
    found = audit(given, seeds)
    if as_json:
        printing.as_json({"claims": len(claims(given)), "findings": [asdict(finding) for finding in found]})
    elif found:
        printing.table("", ("claim", "rule", "finding"), [(f.claim, f.rule, f.words) for f in found])
    else:
        printing.out.print(f"{len(claims(given))} claim(s), nothing to object to")
    if found:
        raise typer.Exit(1)
