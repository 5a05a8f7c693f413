"""The grammar of einspace and its shapes (Ericsson et al. 2024, sections 3.1 to 3.4 and appendix): no tensor is made.

    N -> M with less choice: the start symbol may not be a Computation
    M -> sequential (M M) | branching (B) | routing (P M Q) | computation (C)
    B -> clone-2 | split-<dim>-2 : M second M A2          two inner modules
         clone-b | split-<dim>-b : M Ab                   b = 4, 8: one inner module, b copies with their own weights
    A2, A4, A8: how branches become one; P, Q: layout before and after; C: one operation

The state that is threaded through a derivation is the feature's shape, the grid that the last im2col on the way here
took its patches from, the parameters and operations so far, in how many copies the present place stands, and the open
branchings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

from netwright.spaces.grammar import Grammar

Shape = tuple[int, ...]  # [C, H, W] in mode im, [S, D] in mode col
Grid = tuple[int, int] | None

COMPUTATION = 0.32  # section 3.4: barely subcritical
WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
KERNELS = {"im2col-1-1-0": (1, 1, 0), "im2col-1-2-0": (1, 2, 0), "im2col-3-1-1": (3, 1, 1), "im2col-3-2-1": (3, 2, 1),
           "im2col-4-4-0": (4, 4, 0), "im2col-8-8-0": (8, 8, 0), "im2col-16-16-0": (16, 16, 0)}
ORDERS = {"permute-21": (1, 0), "permute-132": (0, 2, 1), "permute-213": (1, 0, 2), "permute-231": (1, 2, 0),
          "permute-312": (2, 0, 1), "permute-321": (2, 1, 0)}
LINEAR = {f"linear-{width}": width for width in WIDTHS}
COMPUTATIONS = ("identity", *LINEAR, "norm", "leaky-relu", "softmax", "position")
BRANCHINGS = {**{f"clone-{parts}": (0, parts) for parts in (2, 4, 8)},
              **{f"split-{dim}-{parts}": (dim, parts) for dim in (1, 2, 3) for parts in (2, 4, 8)}}
CONCATS = {f"concat-{dim}": dim for dim in (1, 2, 3)}
PRODUCTS = ("dot", "scaled-dot")
MORE = {"sequential": 1, "branching": 2, "routing": 2, "computation": 0}  # operations that a module adds at least
_MEMORY = 200_000  # tables kept


class State(NamedTuple):
    """shape and grid of the feature here; params: parameters so far; nodes: operations of the network, those that the
    open places need at least included; copies: of the place; frames: open branchings.

    A frame is (input of a branch, grid there, feature that the first branch left, frames further out), and for
    branches that are copies (copies outside, frames further out).
    """

    shape: Shape
    grid: Grid = None
    params: int = 0
    nodes: int = 1
    copies: int = 1
    frames: tuple[Any, ...] = ()


class Option(NamedTuple):
    """What an operation makes of a feature: its shape, the parameters it adds, its grid where that is another."""

    shape: Shape
    params: int = 0
    grid: Grid = None


class Table(NamedTuple):
    """What is possible at one symbol and feature: options by production, their names, the most parameters of one."""

    options: dict[str, Option]
    names: tuple[str, ...]
    heaviest: int


def rules() -> dict[str, dict[str, tuple[str, ...]]]:
    """symbol -> production -> parts, in the order of the paper."""
    modules = {"sequential": ("M", "M"), "branching": ("B",), "routing": ("P", "M", "Q")}
    branchings: dict[str, tuple[str, ...]] = {
        name: ("M", "second", "M", "A2") if parts == 2 else ("M", f"A{parts}")
        for name, (_, parts) in BRANCHINGS.items()}

    def terminals(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(names, ())

    return {
        "N": dict(modules), "M": {**modules, "computation": ("C",)}, "B": branchings,
        "second": {"second": ()}, "A2": terminals((*PRODUCTS, "add", *CONCATS)),
        "A4": terminals(("add", *CONCATS)), "A8": terminals(("add", *CONCATS)),
        "P": terminals(("identity", *ORDERS, *KERNELS)), "Q": terminals(("identity", *ORDERS, "col2im")),
        "C": terminals(COMPUTATIONS),
    }


def reordered(shape: Shape, order: tuple[int, ...]) -> Shape:
    """The shape with its dimensions in another order."""
    return tuple(shape[place] for place in order)


def patches(shape: Shape, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """The grid of patches that im2col takes from an image [C, H, W]."""
    down, across = ((side + 2 * padding - kernel) // stride + 1 for side in shape[1:])
    return down, across


def operation(name: str, shape: Shape, grid: Grid) -> Option | None:
    """The feature after one of P, Q or C; None where it is not allowed."""
    if name in LINEAR:
        return Option((*shape[:-1], LINEAR[name]), (shape[-1] + 1) * LINEAR[name])
    if name == "norm":  # over channels in mode im, over the last dimension in mode col
        return Option(shape, 2 * (shape[0] if len(shape) == 3 else shape[-1]))
    if name == "position":
        return Option(shape, prod(shape))
    if name in ORDERS:
        order = ORDERS[name]
        return Option(reordered(shape, order)) if len(order) == len(shape) else None
    if name in KERNELS:
        kernel, stride, padding = KERNELS[name]
        if len(shape) != 3 or kernel > min(shape[1:]):
            return None
        made = patches(shape, kernel, stride, padding)
        return Option((prod(made), shape[0] * kernel * kernel), grid=made)
    if name == "col2im":
        if len(shape) != 2 or grid is None or prod(grid) != shape[0]:
            return None
        return Option((shape[1], *grid))
    return Option(shape)  # identity, leaky-relu, softmax


def branch(name: str, shape: Shape) -> Shape | None:
    """What one branch gets of a feature; None where it cannot be split so."""
    dim, parts = BRANCHINGS[name]
    if dim == 0:
        return shape
    if dim > len(shape) or shape[dim - 1] % parts:
        return None
    return (*shape[: dim - 1], shape[dim - 1] // parts, *shape[dim:])


def joined(name: str, shapes: Sequence[Shape]) -> Shape | None:
    """What branches that end in these shapes become; None where they do not go together."""
    first, last = shapes[0], shapes[-1]
    if len(first) != len(last):
        return None
    if name in PRODUCTS:
        fits = first[-1] == last[-2] and (len(first) == 2 or first[0] == last[0])
        return (*first[:-1], last[-1]) if fits else None
    if name == "add":
        return first if first == last else None
    dim = CONCATS[name]
    around = {(*shape[: dim - 1], *shape[dim:]) for shape in shapes}
    if dim > len(first) or len(around) > 1:
        return None
    return (*first[: dim - 1], sum(shape[dim - 1] for shape in shapes), *first[dim:])


@dataclass
class Rules:
    """`step` and `offers` of the grammar, within budgets.

    max_nodes     operations of the network: one for each C, P, Q and A, in every copy
    max_params    parameters of the whole network without its head
    max_elements  of the largest intermediate tensor, for one sample
    """

    max_nodes: int
    max_params: int
    max_elements: int
    _tables: dict[Any, Table] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rules, (self.max_nodes, self.max_params, self.max_elements)

    def step(self, state: State, symbol: str, name: str) -> State | None:
        """The state after a production is applied, before its parts are derived; None where it is not allowed."""
        shape, grid, params, nodes, copies, frames = state
        if symbol in ("M", "N"):
            nodes += MORE[name] * copies
            return State(shape, grid, params, nodes, copies, frames) if nodes <= self.max_nodes else None
        if symbol == "second":
            given, before, _, further = frames
            return State(given, before, params, nodes, copies, (given, before, (shape, grid), further))
        option = self._table(state, symbol).options.get(name)
        if option is None:
            return None
        shape, more, grid = option.shape, option.params, option.grid or grid
        params += more * copies
        if params > self.max_params:
            return None
        if symbol == "B":
            parts = BRANCHINGS[name][1]
            nodes += (parts - 2) * copies
            if nodes > self.max_nodes:
                return None
            if parts == 2:
                return State(shape, grid, params, nodes, copies, (shape, grid, None, frames))
            return State(shape, grid, params, nodes, copies * parts, (copies, frames))
        if symbol == "A2":
            _, before, (_, other), frames = frames
            grid = grid if grid == other else before
        elif symbol[0] == "A":
            copies, frames = frames
        return State(shape, grid, params, nodes, copies, frames)

    def offers(self, state: State, symbol: str) -> Sequence[str]:
        """The productions of `symbol` that `step` allows."""
        if symbol == "second":
            return NAMES[symbol]
        left = (self.max_nodes - state.nodes) // state.copies
        if symbol in ("M", "N"):
            return NAMES[symbol] if left > 1 else tuple(name for name in NAMES[symbol] if MORE[name] <= left)
        table = self._table(state, symbol)
        if symbol == "B":
            return table.names if left > 5 else [name for name in table.names if BRANCHINGS[name][1] - 2 <= left]
        left = (self.max_params - state.params) // state.copies
        if table.heaviest <= left:
            return table.names
        return [name for name, option in table.options.items() if option.params <= left]

    def _table(self, state: State, symbol: str) -> Table:
        """What each production makes of the feature here, without the budget of parameters."""
        other: Any = None  # what the options depend on beside the shape
        if symbol == "A2":
            other = state.frames[2][0]
        elif symbol == "Q":
            other = state.grid
        key = (symbol, state.shape, other)
        table = self._tables.get(key)
        if table is None:
            if len(self._tables) >= _MEMORY:
                self._tables.clear()
            made = ((name, self._option(symbol, name, state.shape, other)) for name in NAMES[symbol])
            options = {name: option for name, option in made
                       if option is not None and prod(option.shape) <= self.max_elements}
            heaviest = max((option.params for option in options.values()), default=0)
            table = self._tables[key] = Table(options, tuple(options), heaviest)
        return table

    def _option(self, symbol: str, name: str, shape: Shape, other: Any) -> Option | None:
        if symbol in ("C", "P", "Q"):
            return operation(name, shape, other)
        if symbol == "B":
            made = branch(name, shape)
        else:
            made = joined(name, (other, shape) if symbol == "A2" else (shape,) * int(symbol[1]))
        return None if made is None else Option(made)


NAMES: Mapping[str, tuple[str, ...]] = {symbol: tuple(productions) for symbol, productions in rules().items()}


def grammar(shape: Shape, max_size: int, max_depth: int, max_nodes: int, max_params: int, max_elements: int,
            computation: float = COMPUTATION) -> Grammar:
    """The grammar for features that start as `shape`; `computation` is the probability of M -> computation."""
    limits = Rules(max_nodes, max_params, max_elements)
    return Grammar(rules(), "N", fixed={"M": {"computation": computation}}, max_size=max_size, max_depth=max_depth,
                   state=State(tuple(shape)), step=limits.step, offers=limits.offers, retreat=True)
