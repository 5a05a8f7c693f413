"""What every tokenizer does: text to numbers and back, all at once or as it comes."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence


class Tokenizer:
    """Token numbers for a text. `pieces[i]` are the bytes that token i stands for; a control token stands for none.

    `begin` is the token before every text, where the network wants one; after a token of `end` a text is over;
    `special` maps the spelling of control tokens to their numbers.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        *,
        begin: int | None = None,
        end: Iterable[int] = (),
        special: dict[str, int] | None = None,
    ) -> None:
        self.pieces = list(pieces)
        self.special = dict(special or {})
        self.begin = begin
        self.end = tuple(end)
        named = (*self.end, *self.special.values(), *(() if begin is None else (begin,)))
        wrong = [i for i in named if not 0 <= i < len(self.pieces)]
        if wrong:
            raise ValueError(f"special token {wrong[0]} is not one of {len(self.pieces)}")

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str, *, begin: bool = False, special: bool = False) -> list[int]:
        """The tokens of a text; `begin` puts the token before it that the network wants, where there is one.

        With `special`, spellings of control tokens in the text become these; without, they are plain text.
        """
        tokens = [self.begin] if begin and self.begin is not None else []
        if not special or not self.special:
            return tokens + self._encode(text)
        import re

        spelled = re.compile("(" + "|".join(map(re.escape, sorted(self.special, key=len, reverse=True))) + ")")
        for index, part in enumerate(spelled.split(text)):
            if index % 2:
                tokens.append(self.special[part])
            elif part:
                tokens.extend(self._encode(part))
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; bytes that are no UTF-8 become U+FFFD. Raises ValueError for an unknown number."""
        stream = self.stream()
        return "".join([*(stream.push(token) for token in tokens), stream.finish()])

    def stream(self) -> Stream:
        """Decodes token by token."""
        return Stream(self)

    def _encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def _bytes(self, token: int, first: bool) -> bytes:
        """What a token stands for; `first`: nothing but control tokens came before it."""
        return self.pieces[token]


class Stream:
    """Text as tokens come: a character that is spread over several tokens waits for its last byte."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._first = True

    def push(self, token: int) -> str:
        """What is complete with this token. Raises ValueError for a number that is no token."""
        if not 0 <= token < len(self._tokenizer):
            raise ValueError(f"token {token} is not one of {len(self._tokenizer)}")
        found = self._tokenizer._bytes(token, self._first)
        if self._tokenizer.pieces[token]:
            self._first = False
        return self._decoder.decode(found)

    def finish(self) -> str:
        """What is left: U+FFFD where a character was never completed."""
        return self._decoder.decode(b"", final=True)
