"""A language model as it comes from a file: sizes, weights, tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from netwright.graph import Store

from . import gpt2, llama
from .blocks import Blocks
from .tokenizers import Tokenizer

FAMILIES: dict[str, ModuleType] = {"gpt2": gpt2, "llama": llama}
STACKS = (("q", "k", "v"), ("gate", "up"))  # matrices of one input, which lie on top of each other in memory


@dataclass(frozen=True, eq=False)
class Model:
    """`family` names the module that builds its graphs; `store` has the parameters by the names given there, as
    float32, and `packed` those of them that the file packs, as it does."""

    name: str
    family: str
    config: Any
    store: Store
    tokenizer: Tokenizer | None = None
    packed: Mapping[str, Blocks] = field(default_factory=dict)  # matrices that the file has in blocks

    @property
    def builders(self) -> ModuleType:
        """The module with `full`, `decode`, `attention`, `feed_forward`, ..."""
        return FAMILIES[self.family]


def gather_parameters(family: str, config: Any, read: Callable[[str], np.ndarray]) -> Store:
    """A store of float32 parameters out of `read(name)`. Raises ValueError naming a parameter of another shape.

    An array that is memory-mapped float32 stays in its file; others are made anew, and those that a prepared graph
    multiplies together lie on top of each other.
    """
    shapes: Mapping[str, tuple[int, ...]] = FAMILIES[family].parameters(config)
    store = Store()

    def shaped(name: str) -> np.ndarray:
        array = read(name)
        if array.shape != shapes[name]:
            raise ValueError(
                f"{name} has shape {list(array.shape)}, the sizes of the network say {list(shapes[name])}"
            )
        return array

    for names in _stacks(shapes):
        arrays = [shaped(name) for name in names]
        if len(names) == 1 or all(map(_in_file, arrays)):
            for name, array in zip(names, arrays):
                store[name] = array if _in_file(array) else np.require(array, np.float32, ("C", "A"))
            continue
        room = np.empty((sum(map(len, arrays)), arrays[0].shape[1]), np.float32)
        row = 0
        for name, array in zip(names, arrays):
            store[name] = room[row : row + len(array)]
            store[name][...] = array
            row += len(array)
    return store


def _in_file(array: np.ndarray) -> bool:
    """Whether an array can be used where it lies: read-only bytes of a mapped file."""
    flags = array.flags
    return array.dtype == np.float32 and flags.c_contiguous and flags.aligned and not flags.writeable


def _stacks(names: Iterable[str]) -> list[list[str]]:
    """Parameter names, those of one input together."""
    found: dict[str, list[str]] = {}
    for name in names:
        *layer, part, kind = name.split(".")
        stack = next((stack for stack in STACKS if part in stack and layer and kind == "weight"), (part,))
        found.setdefault(".".join((*layer, stack[0], kind)), []).append(name)
    return list(found.values())
