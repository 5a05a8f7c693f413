"""The top of the page: what was made, whether it fits, and the few numbers that matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .html import MEASURED, MODELLED, bytes_, ms, percent, text
from .material import Material


def section(material: Material) -> str:
    result = material.result
    device, task, profile = result["device"], result["task"], result["profile"]
    fits = not result.get("violations")
    return (
        f'<header><p class="eyebrow">netwright report</p><h1>{text(task.get("name"))} <span>on</span> '
        f"{text(device.get('name'))}</h1>"
        f'<p class="verdict {"good" if fits else "bad"}">{_sentence(material)}</p>'
        f'<p class="badges">{_badges(material)}</p></header>\n'
        f'<div class="meters">{_accuracy(result["accuracy"])}'
        f"{_parts('RAM', profile['ram_bytes'], device.get('ram_bytes'))}"
        f"{_parts('Flash', profile['flash_bytes'], device.get('flash_bytes'))}"
        f"{_latency(profile, device)}</div>\n"
    )


def _sentence(material: Material) -> str:
    result = material.result
    profile = result["profile"]
    ram, flash = sum(profile["ram_bytes"].values()), sum(profile["flash_bytes"].values())
    broken = "; ".join(text(v) for v in result.get("violations") or ())
    samples, classes = result.get("samples", 0), len(result["classes"])
    verdict = f"<b>Does not fit.</b> {broken}." if broken else "<b>Fits.</b>"
    return (
        f"{verdict} An int8 network that tells {classes:,} classes apart, right on "
        f"{percent(result['accuracy']['device'])} of {samples:,} test samples, in {bytes_(ram)} of RAM and "
        f"{bytes_(flash)} of Flash."
    )


def _badges(material: Material) -> str:
    result = material.result
    equal = result.get("byte_equal")
    outputs = f"all {result.get('samples', 0):,} outputs"
    first = (
        f'<span class="badge good">byte-equal: {outputs} alike on the device, in host C and in NumPy</span>'
        if equal
        else '<span class="badge bad">not byte-equal: device, host C and NumPy reference differ</span>'
    )
    test = f'<span class="badge">test set: {text(result["task"].get("held_out", "not described"))}</span>'
    device = result["device"]
    name = str(device.get("name", ""))
    where = "run natively" if name == "host" else "run on an emulated core"
    clock = f" at {device['clock_hz'] / 1e6:g} MHz" if device.get("clock_hz") else ""
    return f'{first} {test} <span class="badge">{text(name)}{clock}, {where}</span>'


def _meter(name: str, tag: str, value: str, segments: str, rows: str, notes: str) -> str:
    return (
        f'<div class="meter"><h3>{name} {tag}</h3><p class="value">{value}</p><div class="gauge">{segments}</div>'
        f'<table class="plain">{rows}</table><p class="notes">{notes}</p></div>'
    )


def _accuracy(accuracy: Mapping[str, float]) -> str:
    rows = "".join(
        f'<tr><td>{name}</td><td class="n">{percent(accuracy[key])}</td>'
        f'<td class="n quiet">{"" if key == "float" else _points(accuracy[key] - accuracy["float"])}</td></tr>'
        for name, key in (("float", "float"), ("int8, reference", "int8"), ("int8, on the device", "device"))
        if key in accuracy
    )
    segments = f'<i class="part" style="width:{100 * accuracy["device"]:.2f}%"></i>'
    return _meter("Accuracy", MEASURED, percent(accuracy["device"]), segments, rows, "on the test set, three ways")


def _points(difference: float) -> str:
    rounded = round(100 * difference, 2)
    return "±0.00" if rounded == 0 else f"{rounded:+.2f}".replace("-", "−")


def _parts(name: str, parts: Mapping[str, int], limit: int | None) -> str:
    total = sum(parts.values())
    whole = max(total, limit or total, 1)
    segments = "".join(
        f'<i class="part p{i}" style="width:{100 * size / whole:.2f}%" title="{text(part)} {bytes_(size)}"></i>'
        for i, (part, size) in enumerate(parts.items())
        if size
    )
    if limit is not None and total > limit:
        segments += f'<i class="limit" style="left:{100 * limit / whole:.2f}%"></i>'
    rows = "".join(
        f'<tr><td><i class="key p{i}"></i>{text(part)}</td><td class="n">{bytes_(size)}</td></tr>'
        for i, (part, size) in enumerate(parts.items())
    )
    notes = "no limit given" if limit is None else f"{percent(total / limit, 1)} of the limit, {bytes_(limit)}"
    return _meter(name, MEASURED, bytes_(total), segments, rows, notes)


def _latency(profile: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    value, limit = float(profile["latency_ms_modelled"]), device.get("latency_ms")
    whole = max(value, float(limit or value), 1e-9)
    segments = f'<i class="part" style="width:{100 * value / whole:.2f}%"></i>'
    if limit is not None and value > limit:
        segments += f'<i class="limit" style="left:{100 * limit / whole:.2f}%"></i>'
    notes = "no limit given" if limit is None else f"{percent(value / limit, 1)} of {limit:g}\u00a0ms, modelled"
    rows = (
        f'<tr><td>instructions, counted</td><td class="n">{profile["instructions"]:,}</td></tr>'
        f'<tr><td>cycles, modelled</td><td class="n">{profile["cycles_modelled"]:,}</td></tr>'
        f'<tr><td>MACs</td><td class="n">{profile.get("macs", 0):,}</td></tr>'
    )
    return _meter("Latency", MODELLED, ms(value), segments, rows, notes)
