"""Reference models and test inputs among the recorded data, for the other benchmarks."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

MODELS = ("mlperf-tiny/models", "mcunet-models", "tflm-models", "coral-imagenet-models", "tinymaix-models")


def root(data: str | None = None) -> Path:
    """The folder of recorded data: given, NETWRIGHT_DATA, or ../shared/data. Raises SystemExit when there is none."""
    for place in (data, os.environ.get("NETWRIGHT_DATA"), "../shared/data"):
        if place and Path(place).is_dir():
            return Path(place)
    raise SystemExit("recorded data are neither in --data, NETWRIGHT_DATA nor ../shared/data")


def models(data: Path) -> list[Path]:
    """Every reference TFLite file, in a fixed order."""
    return [path for folder in MODELS for path in sorted((data / folder).glob("*.tflite"))]


def cifar10(data: Path, part: str = "test", count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, 32, 32, 3] and labels of the JPEG copy of CIFAR-10."""
    from PIL import Image

    with np.load(data / "cifar10-jpeg" / f"{part}.npz") as file:
        header, body, offsets, labels = (file[k] for k in ("header", "data", "offsets", "label"))
    n = len(labels) if count is None else min(count, len(labels))
    images = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(header.tobytes() + body[offsets[i] : offsets[i + 1]].tobytes())))
            for i in range(n)
        ]
    )
    return images, labels[:n]


def keywords(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """The thousand keyword inputs, int8 [1000, 49, 10, 1], and their classes."""
    with np.load(data / "mlperf-tiny" / "inputs" / "kws01_test1000.npz") as file:
        return file["X"], file["y"]


def photos(data: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The photos, centre crop, resized to [n, size, size, 3] uint8, and whether a person is in view (large enough)."""
    from PIL import Image

    people = {"grace_hopper", "squat"}
    images, labels = [], []
    for path in sorted((data / "coral-imagenet-models" / "images").glob("*.jpg")):
        if path.stem == "kite_and_cold":
            continue  # a person a few pixels high
        picture = Image.open(path).convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        images.append(np.asarray(picture.crop((left, top, left + side, top + side)).resize((size, size))))
        labels.append(int(path.stem in people))
    return np.stack(images), np.array(labels)
