"""Random small spaces, and the counts of them worked out another way."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from netwright.spaces import Cell, Choice, Float, Grammar, Int, OneOf, Permutation, Repeat, Space, Subset, Tie

NAMES = ("a", "b", "c")

leaves = st.one_of(
    st.integers(1, 3).map(lambda n: Choice(tuple(range(0, 2 * n, 2)))),
    st.integers(1, 3).map(lambda n: Choice(("x", "y", "z")[:n])),
    st.integers(0, 2).map(lambda n: Int(1, 1 + 2 * n, step=2)),
    st.integers(0, 3).map(lambda n: Subset(("p", "q", "r"), 0, n)),
    st.integers(1, 3).map(lambda n: Permutation(("u", "v", "w")[:n])),
    st.just("constant"),
)


def nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=2)
    return st.one_of(
        some,
        st.lists(inner, max_size=2),
        some.map(OneOf),
        st.builds(Repeat, inner, st.sets(st.integers(0, 2), min_size=1).map(lambda counts: tuple(sorted(counts))),
                  st.booleans()),
    )


trees = st.recursive(leaves, nest, max_leaves=4)


def counted(tree: Any) -> int:
    """The count by the definition of each word, on the tree itself."""
    if isinstance(tree, Choice):
        return len(tree.values)
    if isinstance(tree, Int):
        return len(range(tree.low, tree.high + 1, tree.step))
    if isinstance(tree, Subset):
        return sum(1 for bits in range(8) if bits.bit_count() <= (tree.max or 0))
    if isinstance(tree, Permutation):
        return (1, 1, 2, 6)[len(tree.values)]
    if isinstance(tree, OneOf):
        return sum(counted(branch) for branch in tree.branches.values())
    if isinstance(tree, Repeat):
        body = counted(tree.body)
        return sum(body ** (min(count, 1) if tree.tied else count) for count in tree.counts)
    total = 1
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        total *= counted(part)
    return total


def ofa() -> Space:
    """Once-for-All's space at one resolution (Cai et al. 2020, section 3)."""
    body = {"kernel": Choice((3, 5, 7)), "expand": Choice((3, 4, 6))}
    return Space("ofa", {"stages": [Repeat(body, (2, 3, 4)) for _ in range(5)]})


def expressions(size: int = 7) -> Space:
    """Arithmetic: a small recursive grammar with a decision inside a production."""
    rules = {"E": {"add": ("E", "E"), "neg": ("E",), "x": (), "k": (Choice((1, 2)),)}}
    return Space("expressions", Grammar(rules, "E", {"E": {"add": 1, "neg": 1, "x": 2, "k": 2}}, max_size=size))


def typed(size: int = 8) -> Space:
    """A grammar whose state (rows, columns) decides what is allowed, with dead ends: it must end at one number."""

    def step(state: tuple[int, int], symbol: str, production: str) -> tuple[int, int] | None:
        rows, columns = state
        if production == "halve":
            return (rows // 2, columns) if rows % 2 == 0 else None
        if production == "sum":
            return (rows, 1) if columns > 1 else None
        if production == "turn":
            return (columns, rows)
        return state

    rules = {"M": {"then": ("M", "M"), "op": ("C",)}, "C": {"halve": (), "sum": (), "turn": ()}}
    return Space("typed", {"net": Grammar(rules, "M", max_size=size, state=(4, 3), step=step,
                                          accept=lambda state: state[1] == 1)})


def everything() -> Space:
    """One of each word, a Float included."""
    return Space("everything", {
        "width": Choice((8, 16, 32), prior=(1, 2, 1)),
        "stages": Repeat({"op": OneOf({"conv": {"kernel": Choice((3, 5)), "wide": Tie("width")}, "skip": None}),
                          "act": Choice(("relu", "silu"))}, (1, 2, 3)),
        "cell": Cell(2, 2, ("pool", "conv"), 2, distinct=False, combine=("add", "concat")),
        "expression": Grammar({"E": {"add": ("E", "E"), "x": (), "k": (Choice((1, 2)),)}}, "E", max_size=5),
        "order": Permutation(("a", "b", "c")), "features": Subset(("mean", "max", "min"), 1, 2),
        "batch": Int(8, 512, log=True), "lr": Float(1e-4, 1e-1, log=True), "name": "constant",
    })
