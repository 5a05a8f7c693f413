"""Tokenizers out of files: tokenizer.json, vocab.json with merges.txt, llama2.c's tokenizer.bin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from netwright.errors import UserError

from ..reading import Mapped, read_json, read_text
from .base import Tokenizer
from .byte_level import ByteLevel
from .score_merge import ScoreMerge

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_END_OF_TEXT = "<|endoftext|>"


def load(path: str | Path, *, begin: int | None = None, end: Iterable[int] = ()) -> Tokenizer:
    """The tokenizer in a file, or in a folder that holds one. `begin` and `end` are for forms that do not tell them.

    Raises UserError naming the file and what is wrong with it.
    """
    place = Path(path)
    if place.is_dir():
        for name in ("tokenizer.json", "vocab.json", "vocab.json.gz", "tokenizer.bin"):
            if (place / name).is_file():
                place = place / name
                break
        else:
            raise UserError(f"{place}: no tokenizer.json, vocab.json (with merges.txt) or tokenizer.bin there")
    if not place.is_file():
        raise UserError(f"{place}: no such file or folder")
    try:
        if place.suffix == ".bin":
            return _from_llama2c(place)
        if place.name.startswith("vocab."):
            return _from_vocabulary(place, begin, tuple(end))
        return _from_json(place, begin, tuple(end))
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None


def score_merge(
    tokens: Sequence[str], scores: Sequence[float], controls: Iterable[int], **options: Any
) -> ScoreMerge:
    """SentencePiece's spelling: U+2581 for a space, <0x0A> for a byte. Raises ValueError for a byte without a token."""
    of_byte, silent = [-1] * 256, set(controls)
    pieces = []
    for i, token in enumerate(tokens):
        byte = _BYTE.fullmatch(token)
        if byte and of_byte[int(byte[1], 16)] < 0:
            of_byte[int(byte[1], 16)] = i
            pieces.append(bytes([int(byte[1], 16)]))
        else:
            pieces.append(b"" if i in silent else token.replace("\u2581", " ").encode("utf-8", errors="replace"))
    if -1 in of_byte:
        raise ValueError(f"no token for the byte 0x{of_byte.index(-1):02x}")
    return ScoreMerge(pieces, scores, of_byte, special={tokens[i]: i for i in silent if tokens[i]}, **options)


def _from_llama2c(path: Path) -> ScoreMerge:
    """int32 longest token, then for each token float32 score, int32 length, bytes; 0, 1, 2 are unknown, begin, end."""
    file = Mapped(path)
    file.take(4, "the length of the longest token")
    tokens: list[str] = []
    scores: list[float] = []
    while file.at < file.size:
        score, length = file.unpack("fi", f"token {len(tokens)}")
        scores.append(score)
        tokens.append(file.take(length, f"token {len(tokens)}").decode("utf-8", errors="replace"))
    if len(tokens) < 259:
        raise file.fail(f"{len(tokens)} tokens: too few for three controls and 256 bytes")
    tokens[:3] = (token.strip("\n") for token in tokens[:3])  # written with line ends around
    return score_merge(tokens, scores, (0, 1, 2), begin=1, end=(1, 2))


def _from_vocabulary(path: Path, begin: int | None, end: tuple[int, ...]) -> ByteLevel:
    beside = [path.with_name(name) for name in ("merges.txt", "merges.txt.gz")]
    merges = next((p for p in beside if p.is_file()), None)
    if merges is None:
        raise UserError(f"{path}: no merges.txt beside it")
    tokens = _by_number(path, read_json(path))
    special = {_END_OF_TEXT: tokens.index(_END_OF_TEXT)} if _END_OF_TEXT in tokens else {}
    lines = [line for line in read_text(merges).split("\n") if line and not line.startswith("#version")]
    ends = end or tuple(special.values())
    return ByteLevel(tokens, _pairs(merges, lines), begin=begin, end=ends, special=special)


def _from_json(path: Path, begin: int | None, end: tuple[int, ...]) -> Tokenizer:
    given = read_json(path)
    model = given.get("model") if isinstance(given, dict) else None
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or "merges" not in model:
        raise UserError(f"{path}: only byte-pair encodings are read from tokenizer.json, and this holds none")
    added = [t for t in given.get("added_tokens") or () if isinstance(t, dict)]
    try:
        vocabulary = {str(k): int(v) for k, v in model["vocab"].items()} | {t["content"]: int(t["id"]) for t in added}
        special = {t["content"]: int(t["id"]) for t in added if t.get("special")}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: its vocabulary should map tokens to numbers") from None
    tokens = _by_number(path, vocabulary)
    pairs = list(_pairs(path, model["merges"]))
    if model.get("byte_fallback"):
        scores = [-float(len(pairs))] * len(tokens)
        for rank, (left, right) in reversed(list(enumerate(pairs))):
            if left + right in vocabulary:
                scores[vocabulary[left + right]] = -float(rank)
        prefix = "Prepend" in str(given.get("normalizer")) or "Metaspace" in str(given.get("pre_tokenizer"))
        return score_merge(tokens, scores, special.values(), prefix=prefix, begin=begin, end=end)
    words = _words(path, given.get("pre_tokenizer"))
    return ByteLevel(tokens, pairs, words=words, begin=begin, end=end, special=special)


def _words(path: Path, given: Any) -> str:
    """Which pattern splits words. Raises UserError for one that is not known here."""
    parts = given.get("pretokenizers", [given]) if isinstance(given, dict) else []
    kinds = [part.get("type") for part in parts if isinstance(part, dict)]
    if kinds == ["ByteLevel"]:
        return "gpt2"
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and r"\p{N}{1,3}" in str(parts[0].get("pattern")):
        return "llama3"
    raise UserError(f"{path}: words are split in a way that is not known here ({', '.join(map(str, kinds)) or 'none'})")


def _by_number(path: Path, vocabulary: Any) -> list[str]:
    """Tokens in the order of their numbers, which are 0, 1, 2, ... Raises UserError for a gap."""
    numbers = list(vocabulary.values()) if isinstance(vocabulary, dict) else []
    if not numbers or any(type(n) is not int for n in numbers) or set(numbers) != set(range(len(vocabulary))):
        raise UserError(f"{path}: tokens should be numbered from 0 without a gap")
    return [token for token, _ in sorted(vocabulary.items(), key=lambda item: item[1])]


def _pairs(path: Path, lines: Any) -> Iterable[tuple[str, str]]:
    """Merges as pairs, out of `left right` or [left, right]. Raises UserError for a line that is neither."""
    for number, line in enumerate(lines if isinstance(lines, list) else [lines]):
        pair = line.rstrip("\r").split(" ") if isinstance(line, str) else line
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(p, str) and p for p in pair):
            raise UserError(f"{path}: merge {number} is not two pieces: {str(line)[:40]!r}")
        yield pair[0], pair[1]
