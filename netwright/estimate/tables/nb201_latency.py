"""NAS-Bench-201 with latencies on 29 device settings (HELP, Lee et al. 2021; HW-NAS-Bench, Li et al. 2021)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright.estimate.tables import nb201
from netwright.estimate.tables.files import read
from netwright.estimate.tables.table import Benchmark, Signal

TRAIN = ("1080ti_1", "1080ti_32", "1080ti_256", "silver_4114", "silver_4210r", "samsung_a50", "pixel3",
         "essential_ph_1", "samsung_s7")
VALIDATION = ("titanx_1", "titanx_32", "titanx_256", "gold_6240")
TEST = ("titan_rtx_256", "gold_6226", "fpga", "pixel2", "raspi4", "eyeriss")  # HELP, section 4.1
REFERENCES = (11982, 431, 55, 9, 14451, 8636, 9881, 13479, 6196, 1462)  # HELP's ten, as rows
BOARDS = {"edgegpu": "c10_edgegpu_latency", "edgetpu": "c10_edgetpu_latency"}  # of HW-NAS-Bench


def counts(table: Benchmark) -> np.ndarray:
    """[n, 5]: how often each operation stands in a cell, what a transfer between devices goes by."""
    from netwright.spaces.zoo.nb201 import OPS

    return np.array([[key.count(op) for op in OPS] for key in table.keys], dtype=float)


def benchmark(folder: Path) -> Benchmark:
    """nb201 and nas-hw-latency: a signal `latency:DEVICE` in ms for each setting; NaN where a cell did not compile."""
    table = read(folder / "nas-hw-latency" / "help_latency_nasbench201.parquet")
    boards = read(folder / "nas-hw-latency" / "hwnasbench_nb201.parquet", list(BOARDS.values()))
    devices = {name: values for name, values in table.items() if name != "index"}
    for name, column in BOARDS.items():
        devices[name] = np.where(boards[column] < 0, np.nan, boards[column])
    columns = {f"latency:{name}": np.asarray(values, dtype=float) for name, values in devices.items()}
    signals = tuple(Signal(name, "cost", "min", "ms") for name in columns)
    return nb201.benchmark(folder, "nb201-latency", signals, columns)
