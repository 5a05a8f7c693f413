"""Recorded benchmarks: search methods compared without training anything.

    import netwright
    table = netwright.benchmark("nb201")                      # needs the recorded data: --data or NETWRIGHT_DATA
    table.query(candidate, signal="val12")                    # 88.1 (val12): the signal is part of the value
    table.query("|nor_conv_3x3~0|+|...|", signal="test")
    table.values("synflow")                                   # a whole column, in the benchmark's own order

One file a benchmark in this folder: a function `benchmark(folder) -> Benchmark`. Your own is a parquet (or CSV) file
and a space: `own(table, space, signals)`, or `netwright compare --table FILE --space-file FILE.py`.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from netwright.errors import UserError, nearest
from netwright.estimate.tables.table import Benchmark, Reading, Signal
from netwright.recorded import folder

FOLDERS = {"nb201": "nb201", "nb201-latency": "nas-hw-latency"}
_NOT = {"table", "files", "own", "small"}


def names() -> list[str]:
    """The benchmarks that can be read."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name not in _NOT)


def get(name: str, data: str | None = None) -> Benchmark:
    """The benchmark of that name, from the folder of recorded data. UserError for an unknown one or missing files."""
    spelled = name.replace("_", "-")
    if spelled not in names():
        raise UserError(f"no benchmark is called {name!r} {nearest(spelled, names())}")
    place = folder(data)
    if place is None:
        needed = FOLDERS.get(spelled, "zero-cost-tables")
        raise UserError(f"the benchmark {spelled} needs {needed}/* of the recorded data: give --data DIR or "
                        "NETWRIGHT_DATA (`netwright data` says where the public has it)")
    made: Benchmark = import_module(f"{__name__}.{spelled.replace('-', '_')}").benchmark(place)
    return made


__all__ = ["Benchmark", "Reading", "Signal", "get", "names"]
