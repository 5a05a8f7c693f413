"""Text as a flat file of token numbers, and windows out of it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from netwright.errors import UserError
from netwright.models.reading import read_bytes
from netwright.models.tokenizers import Tokenizer

_PIECE = 1 << 20


@dataclass(frozen=True)
class Tokens:
    """Token numbers, memory-mapped: uint16 (uint32 where the vocabulary needs it) [N]; `digest` names the contents."""

    numbers: np.ndarray
    digest: str

    def window(self, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and targets int64 [length] from `start` on; a target is the next token, and the end wraps around."""
        found = np.take(self.numbers, np.arange(start, start + length + 1), mode="wrap").astype(np.int64)
        return found[:-1], found[1:]

    def start(self, index: int, length: int, seed: int) -> int:
        """Where window `index` of a training run starts: each pass over the text has its own offset and order."""
        count = len(self.numbers) // length
        epoch, place = divmod(index, count)
        offset, order = _pass(seed, epoch, len(self.numbers), count)
        return offset + length * int(order[place])


@lru_cache(maxsize=2)
def _pass(seed: int, epoch: int, tokens: int, windows: int) -> tuple[int, np.ndarray]:
    """Where the windows of a pass begin, and their order."""
    rng = np.random.default_rng([seed, epoch])
    return int(rng.integers(tokens)), rng.permutation(windows)


def check(tokens: Tokens, length: int, context: int) -> None:
    """Raise UserError where windows of `length` tokens overflow the network's context, or the text is shorter."""
    if length > context:
        raise UserError(f"a window of {length} tokens overflows the network's context of {context}")
    if len(tokens.numbers) < length + 1:
        raise UserError(f"{len(tokens.numbers)} tokens are too few: a window of {length} and the token after it "
                        f"need {length + 1}")


def unigram_entropy(tokens: Tokens, vocabulary: int) -> float:
    """Nats a token of the best guess that knows only how frequent each token is."""
    share = np.bincount(tokens.numbers, minlength=vocabulary) / len(tokens.numbers)
    share = share[share > 0]
    return float(-np.sum(share * np.log(share)))


def prepare(path: str | Path, tokenizer: Tokenizer, vocabulary: int, folder: Path) -> Tokens:
    """The tokens of a text file (.gz too), written as `tokens.bin` into `folder`; a .bin is taken as it is.

    A .bin is flat little-endian uint16, or uint32 where the vocabulary has more than 65,536 tokens. Raises UserError
    for what cannot be read, and for tokens that the network does not have.
    """
    place = Path(path)
    dtype = np.dtype("<u2" if vocabulary <= 1 << 16 else "<u4")
    if place.suffix != ".bin":
        try:
            text = read_bytes(place).decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{place}: not UTF-8 text ({error.reason} at byte {error.start})") from None
        found = np.asarray(tokenizer.encode(text), np.int64)
        if found.size and int(found.max()) >= vocabulary:
            raise UserError(f"{place}: token {int(found.max())}, the network has {vocabulary}")
        place = folder / "tokens.bin"
        _write(place, found.astype(dtype).tobytes())
    return _mapped(place, dtype, vocabulary)


def _mapped(place: Path, dtype: np.dtype, vocabulary: int) -> Tokens:
    try:
        size = place.stat().st_size
        if size == 0 or size % dtype.itemsize:
            raise UserError(f"{place}: {size} bytes, not a flat file of {dtype.name}")
        numbers = np.memmap(place, dtype, "r")
    except OSError as error:
        raise UserError(f"{place}: {error.strerror or error}") from None
    digest, largest = hashlib.blake2b(digest_size=16), 0
    for start in range(0, len(numbers), _PIECE):
        piece = numbers[start : start + _PIECE]
        digest.update(piece.tobytes())
        largest = max(largest, int(piece.max()))
    if largest >= vocabulary:
        raise UserError(f"{place}: token {largest}, the network has {vocabulary}; was it made by another tokenizer?")
    return Tokens(numbers, digest.hexdigest())


def _write(place: Path, data: bytes) -> None:
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(data)
            os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror or error}") from None
