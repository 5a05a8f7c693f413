"""Programs kept in memory, so that none is compiled twice (Orion 2026, section 7; the compile budget is R5).

    cache = ProgramCache()
    key = Key("attention", layer=3, weights="base", bucket=bucket(200))
    kernel = cache.get(key) or cache.store(key, Kernel.of(simulator, lowered))
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from netwright.errors import UserError

from .simulator import Kernel

BUCKETS = (32, 64, 128, 256, 512, 1024)  # positions of a prefill program
DECODE = 16  # positions of a decode program: the token at 0, zeros after it


def bucket(length: int, sizes: tuple[int, ...] = BUCKETS) -> int:
    """The smallest bucket that takes `length` positions. Raises UserError for none or too many."""
    found = next((size for size in sizes if 1 <= length <= size), None)
    if found is None:
        raise UserError(f"{length} positions do not fit: a program takes 1 to {sizes[-1]}")
    return found


class Key(NamedTuple):
    """What a program is: `kernel:layer:weights:bucket`."""

    kernel: str
    layer: int
    weights: str
    bucket: int

    def __str__(self) -> str:
        return ":".join(map(str, self))


@dataclass
class ProgramCache:
    """The owner of compiled programs."""

    _kernels: dict[Key, Kernel] = field(default_factory=dict)

    def get(self, key: Key) -> Kernel | None:
        """The program, if it is there."""
        return self._kernels.get(key)

    def store(self, key: Key, kernel: Kernel) -> Kernel:
        """Keeps a program; one that was there under the key is closed."""
        before = self._kernels.get(key)
        if before is not None and before is not kernel:
            before.close()
        self._kernels[key] = kernel
        return kernel

    def evict(self, weights: str) -> int:
        """Closes all programs with these weights; how many."""
        gone = [key for key in self._kernels if key.weights == weights]
        for key in gone:
            self._kernels.pop(key).close()
        return len(gone)

    def clear(self) -> None:
        """Closes all programs."""
        for kernel in self._kernels.values():
            kernel.close()
        self._kernels.clear()

    def __contains__(self, key: object) -> bool:
        return key in self._kernels

    def __len__(self) -> int:
        return len(self._kernels)
