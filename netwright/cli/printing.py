"""Printing for people, and for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def as_json(value: Any) -> None:
    """One object on standard output."""
    json.dump(value, sys.stdout, indent=1, default=str)
    sys.stdout.write("\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> None:
    """A table; columns whose index is in `right` are right-aligned."""
    made = Table(title=title or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    out.print(made)


def size(count: int | None) -> str:
    """Bytes with separators."""
    return "-" if count is None else f"{count:,} B"


def working(words: str, quiet: bool) -> AbstractContextManager[Any]:
    """A spinner with words on a terminal while something takes its time."""
    return err.status(words) if err.is_terminal and not quiet else nullcontext()


STAGES = {
    "check": "checking the budget",
    "narrow": "deciding the scales",
    "search": "searching",
    "promote": "judging the best longer",
    "measure": "measuring the structure",
    "train": "training",
    "quantise": "quantising",
    "compile": "compiling",
    "run": "running the test set",
    "done": "done",
}


@contextmanager
def progress(quiet: bool) -> Iterator[Any]:
    """A listener for `fit`: bars on a terminal, one line a change where there is none, nothing when quiet."""
    if quiet:
        yield None
        return
    if not err.is_terminal:
        started, seen = time.monotonic(), [("", 0.0)]

        def lines(stage: str, share: float, words: str) -> None:
            before, at = seen[0]
            now = time.monotonic()
            if stage != before or stage == "search" or now - at > 5:
                seen[0] = (stage, now)
                err.print(f"[{now - started:6.1f} s] {STAGES.get(stage, stage)}: {words}", markup=False, soft_wrap=True)

        yield lines
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description:<26}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}"),
        console=err,
    ) as bars:
        known: dict[str, Any] = {}

        def draw(stage: str, share: float, words: str) -> None:
            if stage not in known:
                for task in known.values():
                    bars.update(task, completed=1.0)
                known[stage] = bars.add_task(STAGES.get(stage, stage), total=1.0, words="")
            bars.update(known[stage], completed=share, words=escape(words))

        yield draw


def kernels(chosen: dict[str, Any]) -> None:
    """Layers that tuning put on another kernel: instructions of each kernel, the rule's first."""
    if not chosen:
        out.print("tuned: the usual kernel is the quickest for every layer")
        return
    rows = []
    for layer, found in chosen.items():
        usual = next(iter(found["instructions"].values()))
        best = found["instructions"][found["kernel"]]
        rows.append((layer, found["kernel"], f"{best:,}", f"{usual:,}", f"{best / usual - 1:.0%}"))
    table("tuned, counted layer by layer", ("layer", "kernel", "instructions", "instead of", ""), rows, right=(2, 3, 4))


def profile(title: str, found: Any) -> None:
    """A profile as a table."""
    kind = "measured" if found.measured else "modelled"
    table(
        title,
        ("", kind, ""),
        [
            ("instructions", f"{found.instructions:,}", f"{found.macs:,} MACs"),
            (
                "latency (modelled)",
                f"{found.latency_ms_modelled:.3f} ms",
                f"{found.cycles_modelled:,} cycles (modelled)",
            ),
            ("RAM", size(found.ram_total), ", ".join(f"{k} {v:,}" for k, v in found.ram_bytes.items())),
            ("Flash", size(found.flash_total), ", ".join(f"{k} {v:,}" for k, v in found.flash_bytes.items())),
            *([("input outside", size(found.outside_bytes), "in memory of its own")] if found.outside_bytes else []),
            ("compiler", "", found.compiler),
        ],
        right=(1,),
    )
