"""The command line: thin commands over plain functions, one file each.

Exit status: 0 done or fits, 1 does not fit or a claim does not hold, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

from .app import main

__all__ = ["main"]
