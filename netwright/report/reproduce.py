"""How the network was made, and how to make, run and flash it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from .html import figure, pairs, text
from .html import section as part
from .material import Material

# a setting of `fit` -> its option; these are left out where the value is what `fit` takes anyway
_OPTIONS = {
    "device": "--device",
    "ram": "--ram",
    "flash": "--flash",
    "latency": "--latency",
    "clock": "--clock",
    "test": "--test",
    "label": "--label",
    "window": "--window",
    "stride": "--stride",
    "group": "--group",
    "space": "--space",
    "patches": "--patches",
    "estimator": "--estimator",
    "strategy": "--strategy",
    "evaluations": "--evaluations",
    "workers": "--workers",
    "seed": "--seed",
}
_USUAL = {"narrow": False, "space": "auto", "patches": "none", "estimator": "short-training", "strategy": "auto",
          "workers": 1}  # fmt: skip
_LONG = 8  # values of a list that are shown


def section(material: Material) -> str:
    """Commands, then settings."""
    result = material.result
    blocks = "".join(f"<h3>{title}</h3><pre><code>{text(code)}</code></pre>" for title, code in _blocks(material))
    lists = (
        ("Input", _input(result)),
        ("Training recipe", list(_flat(result.get("recipe", {})))),
        ("Study", list(_study(result))),
        ("Versions", list(_versions(result))),
    )
    facts = "".join(f"<div><h3>{title}</h3>{pairs(rows)}</div>" for title, rows in lists if rows)
    about = (
        "With one worker and a count of evaluations the same seed gives the same network to the bit, on the same "
        "versions; with a time budget the number of trials depends on the machine."
    )
    return part("How to reproduce it", figure(f'{blocks}<div class="facts">{facts}</div>'), about)


def command(settings: Mapping[str, Any]) -> str:
    """The command line of a study, from the settings that `fit` wrote down."""
    words = ["netwright", "fit", shlex.quote(str(settings.get("task", "TASK")))]
    for key, option in _OPTIONS.items():
        value = settings.get(key)
        if value is not None and value != _USUAL.get(key):
            words += [option, shlex.quote(str(value))]
    if settings.get("narrow"):
        words += ["--narrow"]
    if settings.get("budget_s") is not None:
        words += ["--budget", f"{settings['budget_s']:g}s"]
    if list(settings.get("objectives") or ["loss"]) != ["loss"]:
        words += [w for goal in settings["objectives"] for w in ("--objective", shlex.quote(str(goal)))]
    for field, value in (settings.get("recipe") or {}).items():
        words += ["--recipe", shlex.quote(f"{field}={value}")]
    return " ".join(words)


def python(settings: Mapping[str, Any]) -> str:
    """The same as Python lines."""
    given = [repr(str(settings.get("task", "TASK"))), repr(str(settings.get("device", "cortex-m4")))]
    for key, value in settings.items():
        usual = (
            value is None
            or value == _USUAL.get(key)
            or (key == "objectives" and list(value) == ["loss"])
            or value == {}
        )
        if key not in ("task", "device") and not usual:
            given.append(f"{key}={tuple(value) if key == 'objectives' else value!r}")
    return (
        f"import netwright\n\nstudy = netwright.fit({', '.join(given)})\n"
        "study.graph.run(x)      # the NumPy reference; x is what the program takes\n"
        "study.program.run(x)    # the compiled program"
    )


def _blocks(material: Material) -> Iterator[tuple[str, str]]:
    settings = dict(material.result.get("settings") or {})
    if settings and settings.get("evaluations") is None and settings.get("budget_s") is None:
        settings["evaluations"] = material.result.get("evaluations")
    place = shlex.quote(str(material.result.get("out") or material.folder))
    if settings:
        yield "Again, from the command line", command(settings)
        yield "Again, from Python", python(settings)
    yield "Run it", f"netwright run {place} --input x.npy --output y.npy"
    if material.result["device"].get("name") != "host":
        yield (
            "Put it on a board (needs arm-none-eabi-gcc, and openocd to flash)",
            f"cd {place}\nmake\nmake flash BOARD=st_nucleo_f4    # the name of openocd's file for your board",
        )


def _input(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    task, how = result["task"], result.get("preprocessing", {})
    rows = [("one sample", f"{text(task.get('dtype', ''))} {'×'.join(str(d) for d in task.get('shape', ()))}")]
    rows += [("the program takes", text(result["input"]))] if result.get("input") else []
    if how:
        rows += [
            ("network sees", "(raw − offset) × scale"),
            ("offset", _numbers(how.get("offset"))),
            ("scale", _numbers(how.get("scale"))),
        ]
    samples = task.get("samples", {})
    rows += [(f"samples, {k}", f"{v:,}") for k, v in samples.items()]
    if task.get("digest"):
        rows.append(("digest of the data", f"<code>{text(task['digest'])}</code>"))
    return rows


def _study(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("space", "strategy", "evaluations", "seed"):
        if result.get(key) is not None:
            yield key, text(result[key])
    if result.get("seconds") is not None:
        yield "took", f"{result['seconds']:,.0f}\u00a0s in all"


def _versions(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if result.get("netwright"):
        yield "netwright", text(result["netwright"])
    if result["profile"].get("compiler"):
        yield "compiler", text(result["profile"]["compiler"])
    for name, version in (result.get("versions") or {}).items():
        yield name, text(version)


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", text(value)


def _numbers(value: Any) -> str:
    """A number, or the first few of nested lists."""
    flat: list[Any] = []

    def walk(v: Any) -> None:
        if isinstance(v, (list, tuple)):
            for item in v:
                walk(item)
        else:
            flat.append(v)

    walk(value)
    shown = ", ".join(f"{v:.6g}" if isinstance(v, (int, float)) else text(v) for v in flat[:_LONG])
    return shown + (f" … {len(flat):,} values, all in result.json" if len(flat) > _LONG else "")
