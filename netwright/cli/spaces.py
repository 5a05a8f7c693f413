"""netwright spaces"""

from __future__ import annotations

from .options import Json

EXAMPLES = "Example: netwright spaces"


def command(as_json: Json = False) -> None:
    """List the search spaces with their sizes."""
    from netwright import spaces
    from netwright.errors import Refused

    from . import printing

    def counted(space: spaces.Space) -> float | None:
        try:
            return space.bound()
        except Refused:
            return None

    found = [spaces.get(name) for name in spaces.names()]
    if as_json:
        printing.as_json({"spaces": [{"name": s.name, "candidates": counted(s), "about": s.about} for s in found]})
        return
    printing.table(
        "", ("space", "candidates", "for"),
        [(s.name, "not counted" if (n := counted(s)) is None else f"{n:.3g}", s.about) for s in found], right=(1,),
    )  # fmt: skip
