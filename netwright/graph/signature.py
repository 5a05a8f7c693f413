"""An op at given input types: what it makes, and whatever else follows from these alone, worked out once.

Searches build the same layers over and over; result types, MACs, kernels and prices of a layer are facts of its
signature, not of the network that it stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from .op import Op
from .types import Type

if TYPE_CHECKING:
    from .graph import Node

T = TypeVar("T")
_KNOWN: dict[tuple[Any, ...], Signature] = {}
_LIMIT = 200_000


class Signature:
    """Shared by all nodes that apply the same op to the same types; `memo` holds facts by the function that found
    them."""

    __slots__ = ("memo", "outputs")

    def __init__(self, outputs: tuple[Type, ...]) -> None:
        self.outputs = outputs
        self.memo: dict[Any, Any] = {}


def signature(op: Op, *inputs: Type | None) -> Signature:
    """The one signature of an op at these types. Raises ValueError where the op refuses them."""
    key = (op, *inputs)
    found = _KNOWN.get(key)
    if found is None:
        if len(_KNOWN) > _LIMIT:
            _KNOWN.clear()
        found = _KNOWN[key] = Signature(op.types(*inputs))  # type: ignore[arg-type]
    return found


def by_signature(function: Callable[[Node], T]) -> Callable[[Node], T]:
    """Decorate a function of a node that looks at its op and types only: it runs once a signature."""

    @wraps(function)
    def remembered(node: Node) -> T:
        memo = node.signature.memo
        if function in memo:
            return memo[function]  # type: ignore[no-any-return]
        made = memo[function] = function(node)
        return made

    return remembered

