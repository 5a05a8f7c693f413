"""Names of metrics, and a trial in words."""

from __future__ import annotations

from collections.abc import Mapping

from .html import short
from .material import Trial

# metric -> how an axis or a tooltip calls it, and its unit; costs of trials come from the device's model
NAMES: dict[str, tuple[str, str]] = {
    "loss": ("validation loss", ""),
    "accuracy": ("validation accuracy", ""),
    "latency_ms": ("latency (modelled)", "ms"),
    "ram_bytes": ("RAM (modelled)", "B"),
    "flash_bytes": ("Flash (modelled)", "B"),
    "instructions": ("instructions (modelled)", ""),
    "macs": ("MACs", ""),
    "parameters": ("parameters", ""),
}
_MOST = 22  # decisions that a tooltip shows


def name(metric: str) -> str:
    """`latency (modelled), ms`"""
    words, unit = NAMES.get(metric, (metric, ""))
    return f"{words}, {unit}" if unit else words


def value(metric: str, number: float) -> str:
    """A metric's value with its unit."""
    if metric == "accuracy":
        return f"{100 * number:.2f} %"
    unit = NAMES.get(metric, ("", ""))[1]
    whole = metric in ("ram_bytes", "flash_bytes", "instructions", "macs", "parameters")
    shown = f"{round(number):,}" if whole else f"{number:.4f}" if metric == "loss" else short(number)
    return f"{shown} {unit}".strip()


def trial(found: Trial, mark: str = "", architecture: bool = True) -> str:
    """Number, metrics and, when asked for, architecture: a tooltip."""
    lines = [f"trial {found.number}{f', {mark}' if mark else ''}"]
    if not found.good:
        lines.append(found.status)
    lines += [f"{NAMES.get(k, (k, ''))[0]}: {value(k, v)}" for k, v in sorted(found.metrics.items(), key=_order)]
    return "\n".join([*lines, "", *decisions(found.candidate)] if architecture else lines)


def decisions(candidate: Mapping[str, object]) -> list[str]:
    """A candidate's decisions, one a line, cut where there are many."""
    lines = [f"{address} = {choice}" for address, choice in candidate.items()]
    return lines if len(lines) <= _MOST else [*lines[: _MOST - 1], f"and {len(lines) - _MOST + 1} more decisions"]


def _order(item: tuple[str, float]) -> tuple[int, str]:
    known = list(NAMES)
    return (known.index(item[0]) if item[0] in known else len(known), item[0])
