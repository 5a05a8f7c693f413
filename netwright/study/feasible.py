"""Whether anything fits, before a search is begun."""

from __future__ import annotations

import numpy as np

from netwright.devices import Limits
from netwright.errors import UserError

from .evaluate import Evaluator

PROBES = 300  # networks drawn to see whether anything fits
ENOUGH = 40  # of them that fit


def require_a_fit(evaluator: Evaluator, seed: int) -> None:
    """Raise UserError with the nearest possible when no probe fits the limits.

    The evaluator's bound on instructions, which a time budget sets, is raised until a quarter of what fits is inside.
    """
    rng = np.random.default_rng(seed)
    nearest: dict[str, float] = {}
    limit, evaluator.most_instructions = evaluator.most_instructions, None
    fitting: list[float] = []
    for _ in range(PROBES):
        candidate = evaluator.space.sample(rng)
        if evaluator.fits(candidate):
            fitting.append(evaluator.cost(candidate).instructions)
            if len(fitting) == ENOUGH:
                break
            continue
        try:
            cost = evaluator.cost(candidate)
        except (ValueError, UserError):
            continue
        found = {"RAM": cost.ram_total, "Flash": cost.flash_total, "latency": cost.latency_ms_modelled}
        nearest = {k: min(v, nearest.get(k, v)) for k, v in found.items()}
    if fitting:
        evaluator.most_instructions = limit and max(limit, float(np.quantile(fitting, 0.25)))
        return
    name = evaluator.space.name
    if not nearest:
        raise UserError(
            f"no network of the space {name!r} takes inputs of {list(evaluator.task.x.shape)}; choose another --space"
        )
    raise UserError(
        f"nothing fits {_words(evaluator.device.limits)} on {evaluator.device.name}: of {PROBES} networks of {name!r} "
        f"the smallest need RAM {nearest['RAM']:,.0f} B, Flash {nearest['Flash']:,.0f} B, "
        f"{nearest['latency']:.2f} ms (modelled); "
        "raise the limits to at least these, or choose another --space"
    )


def _words(limits: Limits) -> str:
    parts = []
    if limits.ram_bytes is not None:
        parts.append(f"RAM {limits.ram_bytes:,} B")
    if limits.flash_bytes is not None:
        parts.append(f"Flash {limits.flash_bytes:,} B")
    if limits.latency_ms is not None:
        parts.append(f"{limits.latency_ms:g} ms")
    return ", ".join(parts) or "no limits"
