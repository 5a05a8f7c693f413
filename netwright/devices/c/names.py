"""C identifiers and comments out of names that come from models and data sets."""

from __future__ import annotations

import re
from collections.abc import Container

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

_HEADERS = frozenset(
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads time uchar unistd wchar wctype "
    "arduino all clean help install package test".split()
)  # of the C library, whose names the files of a program must not take; and targets of build systems


def program_name(name: str, taken: Container[str]) -> str:
    """What a program's files and functions are called: `name` in lower case, `_network` behind it where that is taken
    or means something else to C or to those who build it."""
    program = identifier(name).lower()
    return f"{program}_network" if program in taken or program in _HEADERS else program


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
