"""Writing the page."""

from __future__ import annotations

import os
from pathlib import Path

from netwright.errors import UserError
from netwright.graph.files import write_text

from .material import read
from .page import page

NAME = "report.html"


def write_report(folder: str | os.PathLike[str], *, baseline: str | os.PathLike[str] | None = None) -> Path:
    """Draw `report.html` in a folder that `fit` wrote; returns its path.

    baseline: a folder that `fit --strategy random` wrote for the same task; its trials are the random search of the
    progress chart. Raises UserError when a folder was not written by `fit` or cannot be written to.
    """
    text = page(read(folder, baseline))
    path = Path(folder) / NAME
    try:
        write_text(path, text)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    return path
