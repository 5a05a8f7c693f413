"""Spaces: sets of networks and training recipes, as symbolic data.

A space is a tree of decisions nested in plain dicts and lists, and a builder that turns the chosen structure into a
network for a task's input and output:

    tree = {
        "width": Choice((8, 16, 32)),
        "stages": [Repeat({"kernel": Choice((3, 5)), "op": OneOf({"conv": {}, "pool": {"size": Int(2, 4)}})}, (1, 2))],
        "lr": Float(1e-4, 1e-1, log=True),
    }
    space = Space("mine", tree, build)

A `Candidate` is the trace of its decisions: a map from stable addresses ("stages/0/1/op/pool/size") to JSON values
that holds the active decisions only. `space.walk(choose)` is the one primitive; sampling, enumeration, replay,
mutation and crossover are walks with another `choose`. From the tree alone follow `count`, `sample`, `enumerate`,
`mutate`, `crossover`, `repair`, `encode`, `distance`, `validate`, `decode`; `build` makes the network.

Words: Choice, Int, Float, Subset, Permutation decide one thing. OneOf makes sub-spaces conditional, SomeOf takes one or
more of them, Repeat has a chosen count, Tie repeats another decision's value, Cell wires a small graph, Grammar
recurses. All else is constant.
A `RegrownSpace` is a Space of derivations that mutates and crosses over by whole subtrees.
`space.fix(decisions)` and `space.part(where)` divide a space for searches inside searches; `space.key(candidate)` is a
cache's key, equal for candidates that a space's canonical form takes as one. `mutable.search_over` makes a space of an
existing Graph or torch module. `narrow` decides a space's scales for a device, without training. `get(name)` and
`names()` find the built-in spaces: one file in `zoo/` each.
"""

from __future__ import annotations

from netwright.spaces.candidate import Candidate
from netwright.spaces.cell import Cell, CellNode, CellPlan
from netwright.spaces.domain import Domain
from netwright.spaces.grammar import Derivation, Grammar
from netwright.spaces.narrow import Part, narrow
from netwright.spaces.node import Node
from netwright.spaces.registry import get, get_for, names, takes
from netwright.spaces.regrown import RegrownSpace
from netwright.spaces.some_of import Several, SomeOf
from netwright.spaces.space import Build, Constraint, Space
from netwright.spaces.vocabulary import Choice, Chosen, Float, Int, OneOf, Permutation, Repeat, Subset, Tie

__all__ = [
    "Build", "Candidate", "Cell", "CellNode", "CellPlan", "Choice", "Chosen", "Constraint", "Derivation", "Domain",
    "Float", "Grammar", "Int", "Node", "OneOf", "Part", "Permutation", "RegrownSpace", "Repeat", "Several", "SomeOf",
    "Space", "Subset", "Tie", "get", "get_for", "names", "narrow", "takes",
]
