"""Which part of a space a device uses best, told without training: the first stage of TinyNAS.

Networks of one family that compute more tend to be better. So of the parts of a space (a resolution and a width, say)
the one to search is that whose networks compute most, of those that the device takes.

    found = narrow(space, fits=evaluator.fits, macs=lambda c: build(c).graph.macs)
    found.space                    # the space with its scales decided
    found.parts                    # every part, the best first

Source: Lin et al. 2020, "MCUNet: Tiny Deep Learning on IoT Devices", section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from netwright.errors import Refused

from .candidate import Candidate
from .space import Space

SAMPLES = 100  # networks drawn of each part
QUANTILE = 0.8  # of the MACs of those that fit, by which parts are compared
LEAST = 0.05  # of a part's networks have to fit: a search needs some to choose from


class Part(NamedTuple):
    """A space with its scales decided, and what was seen of its networks."""

    scales: dict[str, Any]
    macs: float  # at the quantile of those that fit; 0 where none does
    fitting: int
    drawn: int


class Narrowed(NamedTuple):
    """The best part as a space, and all of them from the best to the worst."""

    space: Space
    parts: list[Part]


def part(space: Space, scales: Mapping[str, Any]) -> Space:
    """The space with these of its decisions made; candidates keep their addresses and are the whole space's too."""
    return space.fix(scales)


def narrow(
    space: Space,
    fits: Callable[[Candidate], bool],
    macs: Callable[[Candidate], float],
    *,
    seed: int = 0,
    samples: int = SAMPLES,
    tell: Callable[[float], None] = lambda share: None,
) -> Narrowed:
    """Draw `samples` networks of every part; `tell` hears the share that is done.

    Raises ValueError for a space without scales, Refused where no part has LEAST of its networks that fit.
    """
    if not space.scales:
        raise ValueError(f"the space {space.name!r} names no scales")
    combinations = list(product(*(space.tree[name].values for name in space.scales)))
    found = []
    for number, values in enumerate(combinations):
        tell(number / len(combinations))
        scales = dict(zip(space.scales, values, strict=True))
        own, rng = part(space, scales), np.random.default_rng([seed, number])
        fitting = [macs(c) for c in (own.sample(rng) for _ in range(samples)) if fits(c)]
        found.append(Part(scales, float(np.quantile(fitting, QUANTILE)) if fitting else 0.0, len(fitting), samples))
    found.sort(key=lambda p: (p.fitting < LEAST * samples, -p.macs))
    if found[0].fitting < LEAST * samples:
        raise Refused(f"of no part of {space.name!r} do {LEAST:.0%} of the networks fit; give more, or take it whole")
    return Narrowed(part(space, found[0].scales), found)
