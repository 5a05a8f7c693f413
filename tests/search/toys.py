"""Small problems with known answers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from netwright.search import Strategy, Trial
from netwright.spaces import Choice, Float, Grammar, Int, OneOf, Permutation, Repeat, Space, Subset

ONES = Space("ones", {"bits": [Choice((0, 1)) for _ in range(24)]})
TRADE = Space("trade", {"a": Int(0, 20), "b": Int(0, 20), "c": Int(0, 20)})
MIXED = Space("mixed", {
    "op": OneOf({"conv": {"kernel": Choice((3, 5, 7)), "act": Choice(("relu", "silu"))}, "pool": Choice((2, 4))}),
    "blocks": Repeat(Choice(("a", "b")), (0, 1, 2)), "lr": Float(1e-3, 1.0, log=True), "n": Int(2, 10, step=2),
    "order": Permutation((1, 2, 3)), "members": Subset(("p", "q", "r"), 1, 2),
    "tree": Grammar({"E": {"add": ("E", "E"), "x": (), "y": ()}}, "E", max_size=5),
})


def ones(candidate: Any) -> dict[str, float]:
    """The number of ones (to be maximised), and of neighbours that agree (to be minimised)."""
    bits = [candidate[f"bits/{place}"] for place in range(24)]
    return {"ones": float(sum(bits)), "equal": float(sum(one == two for one, two in pairwise(bits)))}


def trade(candidate: Any) -> dict[str, float]:
    """Two costs whose front is {(a, 20 - a) : b = c = 0}."""
    waste = candidate["b"] + candidate["c"]
    return {"left": float(candidate["a"] + waste), "right": float(20 - candidate["a"] + waste)}


def mixed(candidate: Any) -> dict[str, float]:
    """Something of everything."""
    return {"loss": abs(candidate["lr"] - 0.1) + candidate["n"] / 10 + (candidate["op"] == "pool") * 0.5,
            "size": float(len(candidate))}


def drive(strategy: Strategy, evaluate: Any, trials: int) -> list[Trial]:
    """One worker."""
    done = []
    for _ in range(trials):
        trial = strategy.ask()[0]
        strategy.tell(trial, evaluate(trial.candidate))
        done.append(trial)
    return done


def drive_out_of_order(strategy: Strategy, evaluate: Any, trials: int, workers: int = 3) -> list[tuple[Any, ...]]:
    """Several workers that finish in another order than they began, one in seven failing; returns the log."""
    log: list[tuple[Any, ...]] = []
    running: list[Trial] = []
    for step in range(trials):
        trial = strategy.ask()[0]
        log.append(("ask", trial))
        running.append(trial)
        if len(running) == workers:
            done = running.pop((step * 5) % workers)
            failed = done.number % 7 == 3
            event = (done, {} if failed else evaluate(done.candidate), "failed" if failed else "ok")
            strategy.tell(*event)
            log.append(("tell", *event))
    return log
