"""Reference models under netwright: python -m benchmarks.models {parity,accuracy,quantise} [--samples N] [--only NAME].

parity    each TFLite file against its own runtime's reference kernels: NumPy reference, host C, emulated Cortex-M4
accuracy  the keyword network on its thousand inputs on the emulated core, ResNet-8 on CIFAR-10 through host C
quantise  post-training int8 of the float reference networks with 200 calibration inputs, against float

Recorded data are found in --data, NETWRIGHT_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import netwright
from benchmarks.recorded import cifar10, keywords, models, photos, root
from netwright.errors import UserError
from netwright.graph import Graph

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tflite"))
BOARD = """core = "cortex-m4"
name = "cortex-m4 with 4 MB"
[flash]
origin = 0
size = "8MB"
[[ram]]
origin = 0x20000000
size = "4MB"
"""


def board() -> Any:
    """A Cortex-M4 with room for every model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "board.toml"
        path.write_text(BOARD)
        return netwright.device(str(path))


def parity(data: Path, count: int, only: str) -> None:
    """One line a file: how far each way of running it is from the file's own runtime."""
    from runtimes import inputs_for, reference

    host, core = netwright.device("host"), board()
    for path in models(data):
        if only not in path.name:
            continue
        try:
            graph = netwright.load(path)
        except UserError as error:
            print(f"{path.name:40s} refused: {error}", flush=True)
            continue
        batches = inputs_for(graph, count)
        theirs = reference(path, batches)
        ours = [np.stack(o) for o in zip(*[graph.run(*[b[i] for b in batches]) for i in range(count)])]
        flat = [b.reshape(count, *b.shape[2:]) for b in batches]
        ways = {"NumPy": ours, "host C": host.compile(graph).run(*flat)}
        if path.stat().st_size <= 4 << 20:
            ways["Cortex-M4"] = core.compile(graph).run(*flat)
        shown = "  ".join(f"{name} {distance(outputs, theirs)}" for name, outputs in ways.items())
        print(f"{path.name:40s} {count} inputs  {shown}", flush=True)


def distance(ours: Any, theirs: Any) -> str:
    """`equal` for integers to the byte; for floats the largest difference as a share of the largest value."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        a = np.asarray(a).reshape(b.shape)
        if b.dtype.kind != "f":
            if not np.array_equal(a, b):
                return f"DIFFERS in {np.mean(a != b):.4%}"
        else:
            worst = max(worst, float(np.abs(a - b).max() / max(float(np.abs(b).max()), 1e-30)))
    return "equal" if not worst else f"{worst:.1e}"


def accuracy(data: Path) -> None:
    """The two accuracies that are published with the inputs."""
    x, y = keywords(data)
    program = board().compile(netwright.load(data / "mlperf-tiny/models/kws_dscnn_int8.tflite"))
    start = time.perf_counter()
    right = (program.run(x)[0].argmax(1) == y).mean()
    print(f"kws_dscnn_int8: {right:.1%} of {len(y)} on the emulated Cortex-M4, {time.perf_counter() - start:.0f} s")
    images, labels = cifar10(data)
    program = netwright.device("host").compile(netwright.load(data / "mlperf-tiny/models/ic_resnet8_int8.tflite"))
    given = (images.astype(np.int16) - 128).astype(np.int8)
    start = time.perf_counter()
    right = (program.run(given)[0].argmax(1) == labels).mean()
    print(f"ic_resnet8_int8: {right:.1%} of {len(labels)} through host C, {time.perf_counter() - start:.0f} s")


def quantise(data: Path) -> None:
    """Float against int8, both through host C."""
    from netwright.compress import quantise as to_int8

    folder = data / "mlperf-tiny" / "models"
    train, _ = cifar10(data, "train", 200)
    images, labels = cifar10(data)
    words, classes = keywords(data)
    kws = netwright.load(folder / "kws_dscnn_int8.tflite").inputs[0].type.quant
    assert kws is not None
    features = (words.astype(np.float32) - kws.zero) * np.float32(kws.scale)
    crops, people = photos(data, 96)
    jobs: dict[str, Any] = {
        "ic_resnet8_fp32": (train.astype(np.float32), images.astype(np.float32), labels),
        # no other keyword inputs are at hand: calibration looks at 200 of them, without their classes
        "kws_dscnn_fp32": (features[::5], features, classes),
        "vww_mobilenet_fp32": (train_crops(train), crops.astype(np.float32) / 255, people),
    }
    for name, (calibration, x, y) in jobs.items():
        graph = netwright.load(folder / f"{name}.tflite")
        integer = to_int8(graph, calibration)
        wide, narrow = through_host(graph, x), through_host(integer, x)
        print(
            f"{name:20s} {len(calibration)} calibration inputs, {len(y)} test inputs: float {(wide == y).mean():.2%} "
            f"int8 {(narrow == y).mean():.2%}, same answer on {(wide == narrow).mean():.2%}",
            flush=True,
        )


def train_crops(images: np.ndarray) -> np.ndarray:
    """Pictures of another set as calibration inputs, 96 x 96, 0 to 1."""
    from PIL import Image

    return np.stack([np.asarray(Image.fromarray(i).resize((96, 96))) for i in images]).astype(np.float32) / 255


def through_host(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The class of each sample; floats are quantised by the input's own scale where it is int8."""
    quant = graph.inputs[0].type.quant
    if quant is not None:
        from netwright.graph.ops.quantise import Quantise

        x = Quantise(quant).numpy(x)
    program = netwright.device("host").compile(graph)
    return np.concatenate([program.run(x[i : i + 1000])[0].argmax(-1) for i in range(0, len(x), 1000)]).reshape(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=("parity", "accuracy", "quantise"))
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--only", default="", help="files whose name holds this")
    parser.add_argument("--data")
    options = parser.parse_args()
    data = root(options.data)
    if options.job == "parity":
        parity(data, options.samples, options.only)
    else:
        {"accuracy": accuracy, "quantise": quantise}[options.job](data)


if __name__ == "__main__":
    main()
