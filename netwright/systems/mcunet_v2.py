"""Patch-based inference on published networks; the joint search of network and patches is not among the claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import device, load
from netwright.compile import ends, patch_choice, patches
from netwright.devices.c import arranged, planned
from netwright.errors import UserError

from . import Claim, Measured, System
from .mcunet import network

LARGE = ("coral-imagenet-models", "tf2_mobilenet_v2_1.0_224_ptq.tflite")
OPTIONS = {"patches": "auto", "input": "outside"}


def existing(data: Path | None, seed: int) -> Measured:
    """Arena of MobileNetV2 whole over its arena in patches."""
    path = data.joinpath(*LARGE) if data is not None else None
    if path is None or not path.is_file():
        raise UserError(f"mcunet-v2 needs {'/'.join(LARGE)} of the recorded data: give --data DIR or NETWRIGHT_DATA")
    graph = arranged(ends.integer(load(path)))
    outside = frozenset(graph.inputs)
    whole = planned(graph, outside=outside)
    banded = patches.apply(graph, patch_choice.choose(graph, 0, lambda g: planned(g, outside=outside)))
    least = planned(banded, outside=outside).bytes
    ratio = whole.bytes / least
    note = (
        f"MobileNetV2 at 224 px: {whole.bytes:,} to {least:,} B of arena (planned), input outside, "
        f"{banded.macs / graph.macs - 1:.1%} more MACs, bands of whole rows; without patches layers overlap already"
    )
    return Measured(ratio, ratio >= 4, note)


def wake_words(data: Path | None, seed: int) -> Measured:
    """RAM of MCUNet's network for visual wake words, measured, every byte of its output held to the reference."""
    graph = ends.integer(network(data))
    x = np.random.default_rng(seed).integers(-128, 128, (4, *graph.inputs[0].shape[1:])).astype(np.int8)
    program = device("cortex-m4", ram="32KB").compile(graph, OPTIONS)
    equal = np.array_equal(program.run(x)[0], graph.run(x)[0])
    used = program.profile(x[:1]).ram_total
    note = "RAM alone: the photographs are not recorded here; input tile in the arena, image outside; " + (
        "byte-equal to layer by layer" if equal else "NOT byte-equal to layer by layer"
    )
    return Measured(used, used <= 32 * 1024 and equal, note)


def overhead(data: Path | None, seed: int) -> Measured:
    """Extra MACs of the same program."""
    graph = ends.integer(network(data))
    share = device("cortex-m4", ram="32KB").compile(graph, OPTIONS).profile().macs / graph.macs - 1
    return Measured(100 * share, share <= 0.15, "the schedule that is chosen for 32 KB of RAM")


system = System(
    name="mcunet-v2",
    paper="Lin et al. 2021 (MCUNetV2: Memory-Efficient Patch-based Inference)",
    about="the first layers computed patch by patch, so that no large tensor is ever whole",
    claims=(
        Claim(
            "patches cut the peak memory of existing networks",
            "4 to 8 times",
            "several networks, image not counted",
            "times",
            existing,
        ),
        Claim(
            "visual wake words run in 32 kB of SRAM",
            "under 32 kB, over 90 % accuracy",
            "a network searched for it, on a microcontroller",
            "B of RAM",
            wake_words,
        ),
        Claim(
            "patches cost little computation",
            "at most 15 % more MACs (our bar)",
            "MCUNet's network for visual wake words in 32 KB",
            "% more MACs",
            overhead,
        ),
    ),
)
