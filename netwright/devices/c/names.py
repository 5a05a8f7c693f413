"""C identifiers and comments out of names that come from models and data sets."""

from __future__ import annotations

import re

_KEYWORDS = frozenset(
    [
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
        "main",
    ]
)


def identifier(name: str, limit: int = 48) -> str:
    """A valid C identifier that still reads like `name`."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:limit].strip("_") or "unnamed"
    return f"n_{text}" if text[0].isdigit() or text in _KEYWORDS else text


def comment(text: str, limit: int = 100) -> str:
    """Text that cannot end the comment it stands in."""
    printable = "".join(c if 32 <= ord(c) < 127 else "?" for c in text)
    return printable.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??", "? ?")[:limit]


class Names:
    """Hands out identifiers, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        base = identifier(name)
        candidate, count = base, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{base}_{count}"
        self._taken.add(candidate)
        return candidate
