"""Weights as files pack them: blocks of 32 numbers of a row, as llama.cpp writes them.

    q8_0   a scale (float16) and 32 signed bytes                  scale * byte
    q4_0   a scale and 16 bytes, two numbers in each              scale * (four bits - 8)
    q4_1   a scale, a least number, and 16 bytes                  scale * four bits + least

Low halves of bytes are the first 16 numbers of a block. A network computes with the float32 numbers these stand for; a
runner that reads a weight once for each token reads a fifth to a quarter of the bytes here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NUMBERS = 32
BYTES = {"q8_0": 34, "q4_0": 18, "q4_1": 20}


class Blocks(NamedTuple):
    """A matrix [O, I]: `rows` are bytes [O, I / 32 * bytes of a block]."""

    kind: str
    rows: np.ndarray

    def dequantised(self) -> np.ndarray:
        """float32 [O, I]."""
        blocks = self.rows.reshape(-1, BYTES[self.kind])
        with np.errstate(invalid="ignore", over="ignore"):  # a damaged scale may be anything
            return _numbers(blocks, self.kind).reshape(len(self.rows), -1)


def _numbers(blocks: np.ndarray, kind: str) -> np.ndarray:
    """Bytes [n, size] -> float32 [n, 32]."""
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    if kind == "q8_0":
        return scale * blocks[:, 2:].view(np.int8)
    packed = blocks[:, 2:] if kind == "q4_0" else blocks[:, 4:]
    levels = np.concatenate((packed & 15, packed >> 4), axis=1).astype(np.float32)
    if kind == "q4_0":
        return (levels - 8) * scale
    return levels * scale + blocks[:, 2:4].copy().view("<f2").astype(np.float32)
