"""Finding spaces by name: every module of `netwright.spaces.zoo` defines one, as `space`."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from typing import Any

from netwright.errors import UserError, nearest
from netwright.spaces import zoo
from netwright.spaces.space import Space


def names() -> list[str]:
    """The built-in spaces, by file name ("ds-cnn" is zoo/ds_cnn.py); imports none of them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(zoo.__path__)
                  if not module.name.startswith("_"))


def get(name: str, **settings: Any) -> Space:
    """The space of that name; settings go to it where its module defines a function of them.

    UserError for an unknown name, or settings that the space does not take.
    """
    found, spelled = _found(name)
    if isinstance(found, Space):
        if settings:
            raise UserError(f'the space "{spelled}" takes no settings, but was given {", ".join(sorted(settings))}')
        return found
    made: Space = found(**settings)
    return made


def get_for(name: str, **offered: Any) -> Space:
    """The space of that name, with those of the offered settings that it takes. UserError for an unknown name."""
    return get(name, **{key: value for key, value in offered.items() if key in takes(name)})


def takes(name: str) -> frozenset[str]:
    """The settings of the space of that name. UserError for an unknown one."""
    found, _ = _found(name)
    return frozenset() if isinstance(found, Space) else frozenset(inspect.signature(found).parameters)


def _found(name: str) -> tuple[Any, str]:
    """What the module of that name calls `space`, and the name as it is spelled."""
    spelled = name.replace("_", "-")
    if spelled not in names():
        raise UserError(f'no space is called "{name}" {nearest(spelled, names())}')
    return import_module(f"{zoo.__name__}.{spelled.replace('-', '_')}").space, spelled
