"""MIL text as tokens, and errors that say line and column."""

from __future__ import annotations

import re
from typing import NamedTuple

from netwright.errors import UserError

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>-?0x[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?(?:p[+-]?[0-9]+)?
        |-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|-inf(?![A-Za-z0-9_]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<string>"(?:[^"\\\n]|\\["\\n])*")
    |(?P<mark>->|[()\[\]{}<>,;=])
    |(?P<bad>.)""",
    re.VERBOSE | re.DOTALL,
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_ESCAPE = re.compile(r"\\(.)")


class Token(NamedTuple):
    """A piece of the text: kind `name`, `number`, `string`, `mark` or `end`, its spelling, its place (characters)."""

    kind: str
    text: str
    place: int


def quoted(text: str) -> str:
    """A string as MIL spells it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def unquoted(token: str) -> str:
    """The string that a string token spells."""
    return _ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], token[1:-1])


class Tokens:
    """The tokens of a text, taken one after the other."""

    def __init__(self, text: str, source: str) -> None:
        self._text, self._source = text, source
        self._tokens: list[Token] = []
        for match in _TOKEN.finditer(text):
            kind = str(match.lastgroup)
            if kind == "bad":
                raise self.error(match.start(), f"unexpected character {match[0]!r}")
            if kind != "space":
                self._tokens.append(Token(kind, match[0], match.start()))
        self._tokens.append(Token("end", "", len(text)))
        self._next = 0

    def error(self, place: int, message: str) -> UserError:
        """The error that names the line and the column of a place in the text."""
        start = self._text.rfind("\n", 0, place) + 1
        line, column = self._text.count("\n", 0, place) + 1, place - start + 1
        return UserError(f"{self._source}, line {line}, column {column}: {message}")

    def expected(self, what: str, token: Token | None = None) -> UserError:
        """The error for a token (the next one, if none is given) that is not `what`."""
        token = token or self.peek()
        found = "the end of the text" if token.kind == "end" else repr(token.text[:40])
        return self.error(token.place, f"expected {what}, found {found}")

    def peek(self) -> Token:
        """The next token, which stays the next."""
        return self._tokens[self._next]

    def take(self, what: str, *kinds: str) -> Token:
        """The next token, which must be of one of `kinds`; `what` is the error's word for it."""
        token = self._tokens[self._next]
        if token.kind not in kinds:
            raise self.expected(what)
        self._next += 1
        return token

    def accept(self, text: str) -> bool:
        """Whether the next token is `text`; if so it is taken."""
        token = self._tokens[self._next]
        if token.text != text or token.kind not in ("mark", "name"):
            return False
        self._next += 1
        return True

    def expect(self, *texts: str) -> int:
        """Takes the tokens `texts`, in this order; the place of the last one."""
        place = 0
        for text in texts:
            place = self.peek().place
            if not self.accept(text):
                raise self.expected(repr(text))
        return place
