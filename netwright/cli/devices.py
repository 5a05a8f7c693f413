"""netwright devices"""

from __future__ import annotations

from collections.abc import Sequence

from .options import Json

EXAMPLES = "Example: netwright devices --json"


def command(as_json: Json = False) -> None:
    """List the devices with their limits and rules."""
    from netwright import devices

    from . import printing

    found = [devices.get(name) for name in devices.names()]
    if as_json:
        printing.as_json({"devices": [d.to_json() for d in found]})
        return
    printing.table(
        "",
        ("device", "RAM", "Flash", "clock", "takes", "rules"),
        [
            (
                d.name,
                printing.size(d.limits.ram_bytes),
                printing.size(d.limits.flash_bytes),
                f"{d.limits.clock_hz / 1e6:g} MHz" if d.limits.clock_hz else "-",
                ", ".join(d.limits.dtypes),
                " ".join(r.id for r in d.rules),
            )
            for d in found
        ],
        right=(1, 2, 3),
    )
    printing.table(
        "rules",
        ("id", "phase", "statement"),
        sorted({(r.id, r.phase, r.statement) for x in found for r in x.rules}, key=_natural),
    )


def _natural(row: Sequence[str]) -> tuple[str, int, str]:
    """R2 before R10."""
    letters = row[0].rstrip("0123456789")
    return letters, int(row[0][len(letters) :] or 0), row[1]
