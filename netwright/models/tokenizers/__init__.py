"""Text to token numbers and back, from files only.

    tokenizer = load("gpt2-tokenizer")      # a folder or file: tokenizer.json, vocab.json and merges.txt, tokenizer.bin
    tokens = tokenizer.encode("Hello world")
    tokenizer.decode(tokens)                # the same text
    stream = tokenizer.stream()             # stream.push(token) gives what is complete

`byte_level` is GPT-2's, `score_merge` SentencePiece's; `read` reads their files.
"""

from __future__ import annotations

from .base import Stream, Tokenizer
from .byte_level import ByteLevel
from .read import load
from .score_merge import ScoreMerge

__all__ = ["ByteLevel", "ScoreMerge", "Stream", "Tokenizer", "load"]
