"""Byte-level byte-pair encoding of GPT-2 (Radford et al. 2019, section 2.2; Sennrich et al. 2016, algorithm 1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise

from .base import Tokenizer
from .merging import merge

_CACHED = 1 << 18  # words whose tokens are remembered
_SHORT = 48  # bytes of a word up to which looking at all pairs again is the quickest way
_NEVER = (1 << 62, 0)
_LAST_NUMBER = 0x20000  # Unicode has no number beyond the first two planes
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # White_Space


@cache
def spelled_bytes() -> dict[str, int]:
    """Printable character -> byte: visible Latin-1 stands for itself, the other bytes for U+0100 and on, in order."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(byte): byte for byte in visible}
    hidden = [byte for byte in range(256) if byte not in set(visible)]
    return table | {chr(256 + i): byte for i, byte in enumerate(hidden)}


@cache
def _numbers() -> str:
    """Unicode's numbers (N) as the inside of a character class."""
    found = [c for c in range(_LAST_NUMBER) if unicodedata.category(chr(c))[0] == "N"]
    runs: list[list[int]] = []
    for c in found:
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return "".join(f"\\U{a:08x}-\\U{z:08x}" for a, z in runs)


@cache
def splitter(kind: str) -> re.Pattern[str]:
    """The words that no merge crosses. Raises ValueError for an unknown kind (gpt2, smollm, llama3)."""
    n, space = _numbers(), _SPACE
    letter, number = rf"[^\W_{n}]", f"[{n}]"
    other = rf"(?:[^\w{space}]|_)"  # neither white space nor letter nor number
    gap = rf"[{space}]+(?![^{space}])|[{space}]+"
    gpt2 = rf"'(?:[sdmt]|ll|ve|re)| ?{letter}+| ?{number}+| ?{other}+|{gap}"
    patterns = {
        "gpt2": gpt2,
        # each number is a word of its own, and the rest is split as if there were none beside it
        "smollm": rf"{number}|'(?:[sdmt]|ll|ve|re)| ?{letter}+| ?{other}+|[{space}]+(?![^{space}{n}])|[{space}]+",
        "llama3": (
            rf"(?i:'(?:[sdmt]|ll|ve|re))|(?:[^\w\r\n]|_)?{letter}+|{number}{{1,3}}| ?{other}+[\r\n]*"
            rf"|[{space}]*[\r\n]+|{gap}"
        ),
    }
    if kind not in patterns:
        raise ValueError(f"words of kind {kind!r} (known: {', '.join(patterns)})")
    return re.compile(patterns[kind])


class ByteLevel(Tokenizer):
    """Words are split off by a pattern; in each, the pair of pieces that was learned first is merged, again and again.

    `vocabulary` holds the tokens in the printable spelling of `spelled_bytes`, by number; `merges` the pairs in the
    order learned, in the same spelling. A token that is spelled otherwise stands for its own text, and no text becomes
    it. A byte that no token stands for is left out of a text's tokens. `words` names the pattern. Raises ValueError
    for a merge of pieces that are no tokens.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        merges: Iterable[tuple[str, str]],
        *,
        words: str = "gpt2",
        begin: int | None = None,
        end: Iterable[int] = (),
        special: dict[str, int] | None = None,
    ) -> None:
        alphabet = spelled_bytes()
        controls = set((special or {}).values())
        number: dict[str, int] = {}
        pieces = []
        for i, token in enumerate(vocabulary):
            if i in controls:
                pieces.append(b"")
                continue
            if all(c in alphabet for c in token):
                pieces.append(bytes(alphabet[c] for c in token))
                number[token] = i
            else:
                pieces.append(token.encode("utf-8", errors="replace"))
        super().__init__(pieces, begin=begin, end=end, special=special)
        self._of_byte = {byte: number[c] for c, byte in alphabet.items() if c in number}
        self._merged: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, (left, right) in enumerate(merges):
            try:
                pair, made = (number[left], number[right]), number[left + right]
            except KeyError as error:
                raise ValueError(f"merge {rank} needs the token {error.args[0]!r}, which there is not") from None
            self._merged.setdefault(pair, (rank, made))
        self._pattern = splitter(words)
        self._known: dict[str, list[int]] = {}

    def _encode(self, text: str) -> list[int]:
        tokens: list[int] = []
        known = self._known
        for word in self._pattern.findall(text):
            found = known.get(word)
            if found is None:
                found = self._word(word.encode("utf-8", errors="replace"))
                if len(known) < _CACHED:
                    known[word] = found
            tokens.extend(found)
        return tokens

    def _word(self, word: bytes) -> list[int]:
        parts, merged = [self._of_byte[byte] for byte in word if byte in self._of_byte], self._merged
        if len(parts) > _SHORT:
            return merge(parts, merged)
        while len(parts) > 1:
            best, at = _NEVER, 0
            for i, pair in enumerate(pairwise(parts)):
                found = merged.get(pair, _NEVER)
                if found < best:
                    best, at = found, i
            if best is _NEVER:
                break
            parts[at : at + 2] = [best[1]]
        return parts
