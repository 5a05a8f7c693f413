"""Finding strategies by name: every module of this package that defines `strategy` is one."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module

from netwright import search
from netwright.errors import UserError, nearest
from netwright.search.base import Strategy


@cache
def _strategies() -> dict[str, Callable[..., Strategy]]:
    modules = (import_module(f"{search.__name__}.{found.name}") for found in pkgutil.iter_modules(search.__path__))
    return {module.strategy.name: module.strategy for module in modules if hasattr(module, "strategy")}


def names() -> list[str]:
    """The built-in strategies."""
    return sorted(_strategies())


def get(name: str) -> Callable[..., Strategy]:
    """The strategy of that name: `get(name)(space, objectives, seed=..., **settings)`.

    "optuna:TPESampler" is the strategy "optuna" with its first setting, `variant`, given. UserError for unknown names.
    """
    spelled, _, variant = name.partition(":")
    spelled = spelled.replace("_", "-")
    if spelled not in _strategies():
        raise UserError(f'no strategy is called "{name}" {nearest(spelled, names())}')
    found = _strategies()[spelled]
    return partial(found, variant=variant) if variant else found
