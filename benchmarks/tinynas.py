"""TinyNAS beside its own ablations: python -m benchmarks.tinynas {cifar10,mnist} [--budget 8min] [--seeds 0 1 2].

two stages    the space's scales by what fits, then evolution over a supernet
with patches  the same, where candidates may compute their first layers band by band
one stage     the same supernet and evolution over the whole space
MACs          the network that computes most of those that fit; all of the budget that is left goes into its training

All arms have one space, one device, one budget, and the recipe of `fit`. A budget is processor time of one core, so
that what else runs on the machine does not matter. Accuracy is that of the int8 program on the whole test set; RAM and
Flash are measured. Recorded data are found in --data, NETWRIGHT_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.main_job import mnist, row, show
from benchmarks.recorded import cifar10, root

SIZES = {
    "cifar10": {"ram": "16KB", "flash": "64KB"},
    "mnist": {"ram": "8KB", "flash": "48KB"},
}
ARMS: dict[str, dict[str, Any]] = {
    "two stages": {"narrow": True, "estimator": "supernet"},
    "with patches": {"narrow": True, "estimator": "supernet", "patches": "auto"},
    "one stage": {"estimator": "supernet"},
    "MACs": {"estimator": "macs"},
}


def source(what: str, data: str | None, folder: Path, samples: int | None) -> str:
    """The path of an .npz of the arm's task, with the first so many of its test samples."""
    if what == "mnist":
        return mnist(data)
    path = folder / "cifar10.npz"
    (x_train, y_train), (x_test, y_test) = (cifar10(root(data), part) for part in ("train", "test"))
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test[:samples], y_test=y_test[:samples])
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=SIZES)
    parser.add_argument("--data")
    parser.add_argument("--budget", default="8min")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="only these")
    for limit in ("ram", "flash", "latency"):
        parser.add_argument(f"--{limit}", help="in place of the usual")
    parser.add_argument("--samples", type=int, help="of CIFAR-10's test set, the first so many (all)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    time.monotonic = time.process_time  # what a budget is counted in
    import torch

    from netwright.devices.quantities import time_s
    from netwright.study import fit

    torch.set_num_threads(1)
    limits = {**SIZES[given.what], **{k: v for k in ("ram", "flash", "latency") if (v := getattr(given, k))}}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        task = source(given.what, given.data, Path(folder), given.samples)
        for seed in given.seeds:
            for arm in given.arms:
                study = fit(
                    task, "cortex-m4", **limits, **ARMS[arm], space="mobilenet", workers=1, seed=seed,
                    budget_s=time_s(given.budget), out=Path(folder) / f"{arm} {seed}".replace(" ", "-"),
                )  # fmt: skip
                rows.append({**row(arm, study), "macs": study.graph.macs})
                if not given.json:
                    show(rows[-1])
    means = {arm: [r["accuracy"]["device"] for r in rows if r["what"] == arm] for arm in given.arms}
    if given.json:
        print(json.dumps({"what": given.what, **limits, "budget": given.budget, "rows": rows}, indent=1))
        return
    first = given.arms[0]
    for arm in given.arms:
        mean = statistics.mean(means[arm])
        behind = 100 * (mean - statistics.mean(means[first]))
        print(f"{given.what} {arm:14s} mean of {len(means[arm])}: {100 * mean:.2f} %   {behind:+.2f} points")


if __name__ == "__main__":
    main()
