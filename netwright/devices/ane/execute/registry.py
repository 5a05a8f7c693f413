"""Which function prepares which op."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .call import Call, Kernel

Prepare: TypeAlias = Callable[[Call], Kernel]
OPS: dict[str, Prepare] = {}


def op(*names: str) -> Callable[[Prepare], Prepare]:
    """Enters the decorated function as what prepares the ops `names`."""

    def enter(prepare: Prepare) -> Prepare:
        OPS.update(dict.fromkeys(names, prepare))
        return prepare

    return enter
