"""Which function lowers which op of a Graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from netwright.graph import Node

if TYPE_CHECKING:
    from .lowering import Lowering

Lower: TypeAlias = "Callable[[Lowering, Node], None]"
LOWER: dict[str, Lower] = {}


def lowers(*names: str) -> Callable[[Lower], Lower]:
    """Enters the decorated function as what lowers the ops `names`; it binds the node's outputs."""

    def enter(function: Lower) -> Lower:
        LOWER.update(dict.fromkeys(names, function))
        return function

    return enter
