"""Names and values out of files, made safe to print: one line, printable, not too long."""

from __future__ import annotations

import re
from pathlib import Path


def clean(text: object, longest: int = 60) -> str:
    """`text` on one line, without control characters, cut to `longest` characters. Never empty."""
    printable = "".join(c if c.isprintable() else " " for c in str(text))
    short = " ".join(printable.split())
    if len(short) > longest:
        short = short[: longest - 1] + "…"
    return short or "?"


def show(path: Path | str) -> str:
    """A path for a message; long ones keep their end, which tells files apart."""
    text = clean(path, 10_000)
    return text if len(text) <= 200 else "…" + text[-199:]


def file_name(text: str) -> str:
    """`text` as a name that is safe as one part of a path: letters, digits, `_`, `-` and inner dots."""
    return re.sub(r"[^\w.-]+", "-", clean(text)).strip(".-") or "task"


def natural(name: str) -> list[str | int]:
    """Sort key by which `take2` comes before `take10`."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"(\d+)", name))]
