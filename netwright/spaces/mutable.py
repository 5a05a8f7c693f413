"""Mutable programs: an existing network becomes a space by marking places in it (PyGlove: Peng et al. 2020, section 3).

    space = netwright.search_over(graph, {
        "*.relu": Choice(("relu", "hard_swish")),            # each of them decided alone
        ("a.conv.width", "b.conv.width"): Choice((8, 16)),   # decided together
        "c.conv.kernel": Choice((3, 5)),
        "d.conv": OneOf({"keep": "keep", "none": None, "pool": {"build": pool, "size": Choice((2, 3))}}),
    })
    space = netwright.search_over(module, {
        "features.1": OneOf({"relu": nn.ReLU, "gelu": nn.GELU}),
        "features.3": {"build": make_block, "depth": Int(1, 4)},
        "dropout.p": Float(0.0, 0.5),
    })

A place of a Graph is a node's name, or name.attribute (see `rewrite`). A place of a torch module is a dotted path to a
module, or path.attribute; a module is replaced by an instance (copied), a function that makes one, a dict of such a
function as "build" with its keyword arguments, the name of a class in torch.nn, None (identity) or "keep". Names may be
patterns. Widths of a torch module change through its Graph: `search_over(from_torch(module, example), ...)`.
"""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from netwright.errors import UserError, nearest
from netwright.graph import Graph, Type
from netwright.spaces.rewrite import KEEP, hidden, rewritten
from netwright.spaces.space import Build, Constraint, Space
from netwright.spaces.vocabulary import Chosen

Places = Mapping[str | tuple[str, ...], Any]


def search_over(
    model: Any, places: Places, *, name: str = "", constraints: Iterable[Constraint] = (), about: str = ""
) -> Space:
    """The space of a Graph or torch module whose marked places vary; the model itself is left as it is.

    A key that is a tuple of places is one decision for all of them, called by the first. Addresses begin with the
    place ("/" written "."). `space.builder.program(space.decode(candidate))` is the changed Graph or module,
    `space.build(candidate, x, y)` its Graph. UserError for a place that is not in the model, or marked twice.
    """
    program: _Graph | _Module = _Graph(model, {}) if isinstance(model, Graph) else _Module(_checked(model), {})
    tree: dict[str, Any] = {}
    for key, choice in places.items():
        found = [program.find(pattern) for pattern in ((key,) if isinstance(key, str) else key)]
        groups = [[place] for place in found[0]] if isinstance(key, str) else [[p for some in found for p in some]]
        for group in groups:
            taken = [place for place in group if any(place in others for others in program.marked.values())]
            if taken or len(set(group)) < len(group):
                raise UserError(f'the place "{(taken or group)[0]}" is marked twice')
            address = group[0].replace("/", ".")
            tree[address] = choice
            program.marked[address] = tuple(group)
    return Space(name or program.name, tree, program, tuple(constraints), about)


def _checked(model: Any) -> Any:
    from torch import nn

    if not isinstance(model, nn.Module):
        raise UserError(f"search_over takes a Graph or a torch module, not {type(model).__name__}")
    return model


def _matching(pattern: str, wholes: list[str], parts: list[str], what: str) -> list[str]:
    """Whole nodes or modules that the pattern names, else their attributes."""
    for names in (wholes, parts):
        if pattern in names:
            return [pattern]
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if matched:
            return matched
    near = difflib.get_close_matches(pattern, wholes, n=20, cutoff=0.3) or wholes[:20]
    raise UserError(f'{what} has no place "{pattern}"{nearest(pattern, near)}')


def _plain(chosen: Any) -> Any:
    """Chosen branches, wherever they stand, as the values behind them."""
    if isinstance(chosen, Chosen):
        return _plain(chosen.value)
    if isinstance(chosen, dict):
        return {key: _plain(value) for key, value in chosen.items()}
    return type(chosen)(map(_plain, chosen)) if type(chosen) in (list, tuple) else chosen


@dataclass
class _Graph:
    """Builds what a structure makes of a Graph; `marked` says which places a decision stands for."""

    graph: Graph
    marked: dict[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        return self.graph.name

    def find(self, pattern: str) -> list[str]:
        wholes = [node.name for node in self.graph.nodes]
        parts = []
        for node in self.graph.nodes:
            own = [f.name for f in fields(node.op)]
            parts += [f"{node.name}.{a}" for a in (*own, "width", "kernel") if a in own or hidden(node.op, a)]
        return _matching(pattern, wholes, parts, f"the graph {self.name!r}")

    def program(self, structure: Mapping[str, Any]) -> Graph:
        """The changed Graph; ValueError where its pieces do not fit."""
        nodes = {node.name for node in self.graph.nodes}
        replaced: dict[str, Any] = {}
        changed: dict[str, dict[str, Any]] = {}
        for first, places in self.marked.items():
            for place in places:
                if place in nodes:
                    replaced[place] = _plain(structure[first])
                else:
                    node, _, attribute = place.rpartition(".")
                    changed.setdefault(node, {})[attribute] = _plain(structure[first])
        return rewritten(self.graph, replaced, changed)

    def __call__(self, structure: Mapping[str, Any], x: Type, y: Type) -> Build:
        (given, *_), (made, *_) = self.graph.inputs, self.graph.outputs
        if given.shape[1:] != x.shape[1:] or made.shape[1:] != y.shape[1:]:
            raise UserError(f"the graph {self.name!r} takes {given.type}, gives {made.type}; the task has {x}, {y}")
        return Build(self.program(structure))


@dataclass
class _Module:
    """Builds what a structure makes of a torch module."""

    module: Any
    marked: dict[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        return type(self.module).__name__

    def find(self, pattern: str) -> list[str]:
        modules = dict(self.module.named_modules())
        wholes = [path for path in modules if path]
        parts = [f"{path}.{name}".lstrip(".") for path, module in modules.items() for name in vars(module)
                 if not name.startswith("_") and name != "training"]
        return _matching(pattern, wholes, parts, f"the module {self.name}")

    def program(self, structure: Mapping[str, Any]) -> Any:
        """The changed module; fresh parts begin alike every time. UserError for what is no module."""
        import torch

        module = copy.deepcopy(self.module)
        modules = {path for path, _ in module.named_modules()}
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            # outer places first, so that a mark inside what was replaced does not get lost unseen
            for first, places in sorted(self.marked.items(), key=lambda item: item[1][0].count(".")):
                for place in places:
                    owner, _, name = place.rpartition(".")
                    value = _plain(structure[first])
                    try:
                        if place in modules:
                            value = self._made(place, value, module.get_submodule(place))
                        setattr(module.get_submodule(owner), name, value)
                    except AttributeError as error:
                        raise ValueError(f"{place}: {error}") from None
        return module

    @staticmethod
    def _made(place: str, value: Any, old: Any) -> Any:
        from torch import nn

        arguments: dict[str, Any] = {}
        if isinstance(value, str) and value == KEEP:
            return old
        if value is None:
            return nn.Identity()
        if isinstance(value, nn.Module):
            return copy.deepcopy(value)
        if isinstance(value, dict):
            arguments, value = {k: v for k, v in value.items() if k != "build"}, value.get("build")
        if isinstance(value, str) and isinstance(getattr(nn, value, None), type):
            value = getattr(nn, value)
        made = value(**arguments) if callable(value) else None
        if not isinstance(made, nn.Module):
            raise UserError(f'"{place}" is replaced by a module, a function that makes one, a class of torch.nn, None '
                            f'or "keep", not {value!r}')
        return made

    def __call__(self, structure: Mapping[str, Any], x: Type, y: Type) -> Build:
        import torch

        from netwright.graph.torch import from_torch

        graph = from_torch(self.program(structure), torch.zeros(x.shape))
        if math.prod(graph.outputs[0].shape) != math.prod(y.shape):
            raise UserError(f"the module {self.name} gives {graph.outputs[0].type}; the task has {y}")
        return Build(graph)
