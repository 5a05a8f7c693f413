"""netwright strategies"""

from __future__ import annotations

from .options import Json

EXAMPLES = "Example: netwright fit digits --strategy optuna:TPESampler"


def command(as_json: Json = False) -> None:
    """List the search strategies."""
    from netwright import search

    from . import printing

    rows = [(name, " ".join((search.get(name).__doc__ or "").split("\n")[0].split())) for name in search.names()]
    if as_json:
        printing.as_json({"strategies": [{"name": n, "about": a} for n, a in rows]})
        return
    printing.table("", ("strategy", ""), rows)
