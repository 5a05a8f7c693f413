"""TinyNAS beside its own ablations: python -m benchmarks.tinynas {cifar10,mnist,patches} [--budget 8min] [--seeds 3].

cifar10, mnist  two stages (scales by what fits, then evolution over a supernet) | one stage (the same supernet and
                evolution over the whole space) | MACs (the network that computes most of those that fit; all of the
                budget that is left goes into its training)
patches         two stages at 16 KB of RAM, with and without bands as a part of the search

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
    "cifar10": {"ram": "32KB", "flash": "128KB"},
    "mnist": {"ram": "8KB", "flash": "48KB"},
    "patches": {"ram": "16KB", "flash": "128KB"},
}
ARMS: dict[str, dict[str, dict[str, Any]]] = {
    "cifar10": {
        "two stages": {"narrow": True, "estimator": "supernet"},
        "one stage": {"estimator": "supernet"},
        "MACs": {"estimator": "macs"},
    },
    "patches": {
        "with patches": {"narrow": True, "estimator": "supernet", "patches": "auto"},
        "without": {"narrow": True, "estimator": "supernet"},
    },
}
ARMS["mnist"] = ARMS["cifar10"]


def source(what: str, data: str | None, folder: Path) -> str:
    """The path of an .npz of the arm's task."""
    if what == "mnist":
        return mnist(data)
    path = folder / "cifar10.npz"
    (x_train, y_train), (x_test, y_test) = (cifar10(root(data), part) for part in ("train", "test"))
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=SIZES)
    parser.add_argument("--data")
    parser.add_argument("--budget", default="8min")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", help="only these")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    time.monotonic = time.process_time  # what a budget is counted in
    import torch

    from netwright.devices.quantities import time_s
    from netwright.study import fit

    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        task = source(given.what, given.data, Path(folder))
        for seed in given.seeds:
            for arm, settings in ARMS[given.what].items():
                if given.arms and arm not in given.arms:
                    continue
                study = fit(
                    task, "cortex-m4", **SIZES[given.what], **settings, space="mobilenet", workers=1, seed=seed,
                    budget_s=time_s(given.budget), out=Path(folder) / f"{arm} {seed}".replace(" ", "-"),
                )  # fmt: skip
                rows.append({**row(arm, study), "options": study.result.get("options"), "macs": study.graph.macs})
                if not given.json:
                    show(rows[-1])
    means = {arm: [r["accuracy"]["device"] for r in rows if r["what"] == arm] for arm in ARMS[given.what]}
    if given.json:
        print(json.dumps({"what": given.what, **SIZES[given.what], "budget": given.budget, "rows": rows}, indent=1))
        return
    first, *others = (arm for arm in means if means[arm])
    for arm in (first, *others):
        mean = statistics.mean(means[arm])
        ahead = "" if arm == first else f"   {first} is {100 * (statistics.mean(means[first]) - mean):+.2f} points ahead"
        print(f"{given.what} {arm:14s} mean of {len(means[arm])}: {100 * mean:.2f} %{ahead}")


if __name__ == "__main__":
    main()
