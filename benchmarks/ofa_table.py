"""Once-for-all's tutorial task: python -m benchmarks.ofa_table [--limits 20 25 30 40].

The released accuracy predictor and the Samsung Note10 latency tables (width 1.2): the best predicted top-1 under a
limit on the sum of the operators' latencies, by evolution in whole arrays (500 generations of 100, one thread).
First the table's sum for the released 30 ms network. Predicted accuracies run high; they rank.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recorded import root
from netwright.search.vectorised import evolve
from netwright.spaces.blocks import rounded

WIDTHS, STRIDES, SQUEEZE, SWISH = (32, 48, 96, 136, 192), (2, 2, 2, 1, 2), (0, 1, 0, 1, 1), (0, 0, 1, 1, 1)
KERNELS, EXPANSIONS, DEPTHS, SIDES = (3, 5, 7), (3, 4, 6), (2, 3, 4), (160, 176, 192, 208, 224)
SIZES = np.array([3] * 45 + [len(SIDES)])  # 20 kernels, 20 expansions, 5 depths, the resolution


def table(folder: Path, side: int) -> dict[str, float]:
    """Operator -> mean milliseconds."""
    found, name = {}, ""
    for line in (folder / "note10" / f"{side}_lookup_table.yaml").read_text().splitlines():
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("mean:"):
            found[name] = float(line.split(":")[1])
    return found


class Latency:
    """Sums of operators' latencies for whole arrays of genomes."""

    def __init__(self, folder: Path) -> None:
        self.fixed = np.zeros(len(SIDES))
        self.blocks = np.zeros((len(SIDES), 20, 3, 3))
        for number, side in enumerate(SIDES):
            known = table(folder, side)
            size, channels = side // 2, 24
            self.fixed[number] = sum(value for name, value in known.items() if not name.startswith("expanded"))
            self.fixed[number] += known[_name(size, 24, size, 24, 24, 3, 1, 1, 0, 0)]
            for unit in range(5):
                for block in range(4):
                    stride = STRIDES[unit] if block == 0 else 1
                    after = -(-size // stride)
                    skip = int(block > 0)
                    for k, kernel in enumerate(KERNELS):
                        for e, expansion in enumerate(EXPANSIONS):
                            name = _name(size, channels, after, WIDTHS[unit], rounded(channels * expansion), kernel,
                                         stride, skip, SQUEEZE[unit], SWISH[unit])
                            self.blocks[number, 4 * unit + block, k, e] = known[name]
                    size, channels = after, WIDTHS[unit]

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        """[n] ms."""
        side = genomes[:, 45]
        each = self.blocks[side[:, None], np.arange(20), genomes[:, :20], genomes[:, 20:40]]
        found: np.ndarray = self.fixed[side] + (each * active(genomes)).sum(axis=1)
        return found


def _name(size: int, before: int, after: int, width: int, middle: int, kernel: int, stride: int, skip: int,
          squeeze: int, swish: int) -> str:
    return (f"expanded_conv-input:{size}x{size}x{before}-output:{after}x{after}x{width}-expand:{middle}-kernel:{kernel}"
            f"-stride:{stride}-idskip:{skip}-se:{squeeze}-hs:{swish}")


def active(genomes: np.ndarray) -> np.ndarray:
    """bool [n, 20]: which blocks there are."""
    depths = np.repeat(np.array(DEPTHS)[genomes[:, 40:45]], 4, axis=1)
    found: np.ndarray = np.tile(np.arange(4), 5)[None] < depths
    return found


class Accuracy:
    """The released predictor, 128-400-400-400-1."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "accuracy_predictor.npz") as file:
            self.layers = [(file[f"{n}.weight"].T.copy(), file[f"{n}.bias"]) for n in (0, 2, 4, 6)]

    def __call__(self, genomes: np.ndarray) -> np.ndarray:
        """[n] predicted top-1."""
        here = active(genomes)[:, :, None]
        eye = np.eye(3, dtype=np.float32)
        kernels, expansions = eye[genomes[:, :20]] * here, eye[genomes[:, 20:40]] * here
        sides = np.zeros((len(genomes), 8), dtype=np.float32)
        sides[np.arange(len(genomes)), (np.array(SIDES)[genomes[:, 45]] - 112) // 16] = 1
        x = np.concatenate([kernels.reshape(-1, 60), expansions.reshape(-1, 60), sides], axis=1)
        for weight, bias in self.layers[:-1]:
            x = np.maximum(x @ weight + bias, 0)
        found: np.ndarray = (x @ self.layers[-1][0] + self.layers[-1][1])[:, 0]
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--limits", type=float, nargs="+", default=[20, 25, 30, 40])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    folder = root(given.data) / "ofa-tables"
    latency, accuracy = Latency(folder), Accuracy(folder)
    released = released_genome(json.loads((folder / "specialized_networks.json").read_text()))
    total = float(latency(released[None])[0])
    rows = []
    for limit in given.limits:
        began = time.process_time()
        runs = [evolve(SIZES, accuracy, latency, limit, seed=seed, smallest=np.zeros(46, dtype=int))
                for seed in range(given.seeds)]
        seconds = (time.process_time() - began) / given.seeds
        rows.append({"limit_ms": limit, "predicted": [run.score for run in runs], "seconds": seconds,
                     "highest_ms": max(run.cost for run in runs), "evaluations": runs[0].evaluations})
    if given.json:
        print(json.dumps({"released_30ms": total, "rows": rows}, indent=1))
        return
    print(f"the released 30 ms network sums to {total:.2f} ms")
    for row in rows:
        print(f"{row['limit_ms']:g} ms: predicted {np.mean(row['predicted']):.4f} (lowest of {given.seeds} seeds "
              f"{min(row['predicted']):.4f}), at most {row['highest_ms']:.3f} ms, {row['evaluations']:,} evaluated in "
              f"{row['seconds']:.2f} s")


def released_genome(networks: list[dict[str, Any]]) -> np.ndarray:
    """The released network for the Note10 at 30 ms."""
    entry = next(n for n in networks if n["folder"].startswith("note10_lat-30ms"))
    genome = np.zeros(46, dtype=int)
    genome[45] = SIDES.index(int(entry["image_size"]))
    blocks = entry["net"]["blocks"][1:]
    place = unit = 0
    for block in blocks:
        conv = block["mobile_inverted_conv"]
        width = WIDTHS.index(int(conv["out_channels"]))
        place = place + 1 if width == unit and place else 1
        unit = width
        genome[4 * unit + place - 1] = KERNELS.index(int(conv["kernel_size"]))
        genome[20 + 4 * unit + place - 1] = EXPANSIONS.index(round(float(conv["expand_ratio"])))
        genome[40 + unit] = DEPTHS.index(max(place, 2))
    return genome


if __name__ == "__main__":
    main()
