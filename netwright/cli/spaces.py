"""netwright spaces"""

from __future__ import annotations

from .options import Json

EXAMPLES = "Example: netwright spaces"


def command(as_json: Json = False) -> None:
    """List the search spaces with their sizes."""
    from netwright import spaces

    from . import printing

    found = [spaces.get(name) for name in spaces.names()]
    if as_json:
        printing.as_json({"spaces": [{"name": s.name, "candidates": s.bound(), "about": s.about} for s in found]})
        return
    printing.table(
        "", ("space", "candidates", "for"), [(s.name, f"{s.bound():.3g}", s.about) for s in found], right=(1,)
    )
