"""netwright systems"""

from __future__ import annotations

from .options import Json

EXAMPLES = "Example: netwright systems --json"


def command(as_json: Json = False) -> None:
    """List the published systems that netwright has as recipes."""
    from netwright import systems

    from . import printing

    found = [systems.get(name) for name in systems.names()]
    rows = [(s.name, s.paper, s.about, len(s.claims)) for s in found]
    if as_json:
        printing.as_json({"systems": [{"name": n, "paper": p, "about": a, "claims": c} for n, p, a, c in rows]})
    elif rows:
        printing.table("", ("system", "paper", "", "claims"), rows, right=(3,))
    else:
        printing.out.print(
            "no recipes yet: the parts are here, the published systems that compose them are still to come"
        )
