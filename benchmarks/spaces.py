"""Drawing and decoding candidates, beside PyGlove: python -m benchmarks.spaces [--seconds 2] [--json].

Candidates a second of one core's processor time, for each space: drawn by decision and decoded into the structure that
a builder takes; the same by candidate (exact counts); mutants; graphs built at reduced size. The peer writes the same
space (Once-for-all's at one resolution, and NAS-Bench-201's) in its own words, draws a DNA and decodes it. Ours and the
peer's turns alternate, so that what else runs on the machine weighs on both.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from netwright import spaces
from netwright.graph import Type
from netwright.spaces.zoo.nb201 import EDGES, OPS

TURNS = 4
SMALL: dict[str, dict[str, Any]] = {
    "nb201": {"channels": 4, "cells": 1},
    "darts": {"channels": 4, "cells": 3},
    "eeea": {"channels": 4, "cells": 3},
    "nasnet": {"channels": 4, "repeats": 1},
    "ofa-mobilenetv3": {},
}


def count(action: Callable[[], Any], seconds: float) -> tuple[int, float]:
    """How often, in how much processor time."""
    start = time.process_time()
    number = 0
    while (spent := time.process_time() - start) < seconds:
        for _ in range(10):
            action()
        number += 10
    return number, spent


def rates(actions: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Calls a second of each, in alternating turns."""
    done = {name: [0.0, 0.0] for name in actions}
    for _ in range(TURNS):
        for name, action in actions.items():
            for place, value in enumerate(count(action, seconds / TURNS)):
                done[name][place] += value
    return {name: number / spent for name, (number, spent) in done.items()}


def ours(name: str, seed: int) -> dict[str, Callable[[], Any]]:
    """What is measured of one space."""
    space, rng = spaces.get(name, **SMALL[name]), np.random.default_rng(seed)
    known = [space.sample(rng) for _ in range(200)]
    turn = iter(range(10**12))
    x, y = Type((1, 3, 32, 32)), Type((1, 10))
    return {
        "sample and decode": lambda: space.decode(space.sample(rng)),
        "by candidate": lambda: space.decode(space.sample(rng, "candidate")),
        "mutate": lambda: space.mutate(known[next(turn) % 200], rng),
        "build": lambda: space.build(known[next(turn) % 200], x, y),
    }


def peer(name: str, seed: int) -> Callable[[], Any] | None:
    """PyGlove's draw and decode of the same space; None where it is not installed or has no such space here."""
    try:
        import pyglove as pg
    except ImportError:
        return None
    import random

    if name == "nb201":
        template = pg.template(pg.Dict({edge: pg.oneof(list(OPS)) for edge in EDGES}))
    elif name == "ofa-mobilenetv3":
        def block() -> Any:
            return pg.Dict(kernel=pg.oneof([3, 5, 7]), expand=pg.oneof([3, 4, 6]))

        units = [pg.oneof([pg.List([block() for _ in range(depth)]) for depth in (2, 3, 4)]) for _ in range(5)]
        template = pg.template(pg.Dict(units=pg.List(units)))
    else:
        return None
    spec, source = template.dna_spec(), random.Random(seed)
    return lambda: template.decode(pg.random_dna(spec, source))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of processor time for each figure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    missing = False
    for name in SMALL:
        actions = ours(name, options.seed)
        other = peer(name, options.seed)
        if other is not None:
            actions["pyglove: sample and decode"] = other
        missing = missing or (other is None and name in ("nb201", "ofa-mobilenetv3"))
        found[name] = rates(actions, options.seconds)
    if options.json:
        print(json.dumps({"a_second": found, "pyglove": not missing}))
        return
    for name, row in found.items():
        print(f"{name}: " + ", ".join(f"{what} {rate:,.0f}/s" for what, rate in row.items()))
    if missing:
        print("pyglove is not installed: ours alone")


if __name__ == "__main__":
    main()
