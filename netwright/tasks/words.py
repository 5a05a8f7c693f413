"""Texts as numbers: each word's hash, as many words of each text as the network takes.

A hash needs no list of words, so that whoever runs the network has four lines to repeat rather than a file to carry
(Weinberger et al. 2009, "Feature hashing for large scale multitask learning"). Words that collide share a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np

_WORD = re.compile(r"\w+(?:'\w+)*")
_FEWEST_NUMBERS, _MOST_NUMBERS = 1024, 8192  # rows of the table that a network has of them
_SHORTEST, _LONGEST = 8, 256  # words of a text
_SHARE = 0.95  # of the texts that are taken whole


def split(text: str) -> list[str]:
    """Words of a text in small letters: runs of letters, digits and underscores, apostrophes inside them kept."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True)
class Words:
    """How texts become numbers: 1 + CRC-32 of the word in UTF-8, modulo (vocabulary - 1); 0 where a text has ended."""

    vocabulary: int
    length: int

    def __call__(self, texts: Iterable[str]) -> np.ndarray:
        """int32 [n, length], each number below `vocabulary`; words beyond `length` are left out."""
        known: dict[str, int] = {}
        rows = []
        for text in texts:
            row = np.zeros(self.length, np.int32)
            for place, word in enumerate(split(text)[: self.length]):
                if word not in known:
                    known[word] = 1 + crc32(word.encode("utf-8", "surrogatepass")) % (self.vocabulary - 1)
                row[place] = known[word]
            rows.append(row)
        return np.stack(rows)

    def describe(self) -> dict[str, Any]:
        """Plain JSON: what a program's user has to do before it."""
        number = "1 + crc32(word in utf-8) % (vocabulary - 1)"
        return {**asdict(self), "words": _WORD.pattern, "case": "lower", "number": number}


def chosen(texts: Sequence[str]) -> Words:
    """What suits these training texts: a length that takes 95 % of them whole (a multiple of 8, at most 256), and a
    power of two of numbers, two to four for each word that occurs twice, so that few collide (1,024 to 8,192)."""
    words = [split(text) for text in texts]
    length = int(np.quantile([len(found) for found in words], _SHARE, method="higher"))
    counts = Counter(word for found in words for word in found)
    several = sum(count > 1 for count in counts.values())
    vocabulary = min(_MOST_NUMBERS, max(_FEWEST_NUMBERS, 1 << (2 * several).bit_length()))
    return Words(vocabulary, min(_LONGEST, max(_SHORTEST, -(-length // 8) * 8)))
