"""Is there room for it: asked from headers, before any memory is taken."""

from __future__ import annotations

import os

from netwright.errors import UserError


def limit_bytes() -> int:
    """Half of the machine's memory; 4 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


def check_room(needed_bytes: int, what: str) -> None:
    """Raises UserError when `what` would take more than `limit_bytes()`."""
    limit = limit_bytes()
    if needed_bytes > limit:
        raise UserError(
            f"{what} would take {needed_bytes:,} B of memory, more than half of this machine's ({limit:,} B): "
            "give fewer or smaller samples"
        )
