"""Merging by score, with bytes to fall back on: SentencePiece's BPE (Kudo and Richardson 2018, section 3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .base import Tokenizer
from .merging import merge

_CACHED = 1 << 18


class ScoreMerge(Tokenizer):
    """Characters are merged while two neighbours together are a token, the highest score first.

    `pieces` are the tokens' bytes (a space is a space), `scores` theirs; `of_byte` the token of every byte, for
    characters that are no tokens. `prefix`: a text is read as if a space stood before it, and decoding drops it.
    Raises ValueError where counts differ.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        scores: Sequence[float],
        of_byte: Sequence[int],
        *,
        prefix: bool = True,
        begin: int | None = None,
        end: Iterable[int] = (),
        special: dict[str, int] | None = None,
    ) -> None:
        super().__init__(pieces, begin=begin, end=end, special=special)
        if len(scores) != len(pieces) or len(of_byte) != 256:
            raise ValueError(f"{len(pieces)} tokens with {len(scores)} scores and {len(of_byte)} bytes")
        self._of_byte, self._prefix = list(of_byte), prefix
        fallbacks = set(of_byte)
        self._number: dict[bytes, int] = {}
        for i, piece in enumerate(self.pieces):
            if piece and i not in fallbacks:
                self._number.setdefault(piece, i)
        self._merged: dict[tuple[int, int], tuple[float, int]] = {}
        for piece, made in self._number.items():
            for cut in range(1, len(piece)):
                left, right = self._number.get(piece[:cut]), self._number.get(piece[cut:])
                if left is not None and right is not None:
                    self._merged[left, right] = (-scores[made], made)
        # where no token has a space after something else, no merge crosses such a place
        crossing = any(re.search(rb"[^ ] ", piece) for piece in self._number)
        self._words = re.compile("[^ ]+| +[^ ]*") if not crossing else re.compile(".+", re.DOTALL)
        self._known: dict[str, list[int]] = {}

    def _encode(self, text: str) -> list[int]:
        if self._prefix and text:
            text = f" {text}"
        tokens: list[int] = []
        known = self._known
        for word in self._words.findall(text):
            found = known.get(word)
            if found is None:
                found = self._word(word)
                if len(known) < _CACHED and len(word) < 64:
                    known[word] = found
            tokens.extend(found)
        return tokens

    def _word(self, word: str) -> list[int]:
        parts: list[int] = []
        for character in word:
            spelled = character.encode("utf-8", errors="replace")
            found = self._number.get(spelled)
            parts.extend([self._of_byte[byte] for byte in spelled] if found is None else [found])
        return merge(parts, self._merged)

    def _bytes(self, token: int, first: bool) -> bytes:
        piece = self.pieces[token]
        return piece[1:] if first and self._prefix and piece.startswith(b" ") else piece
