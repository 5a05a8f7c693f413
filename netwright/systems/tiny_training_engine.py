"""Fine-tuning an int8 network on the microcontroller itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import device
from netwright.compile.training import Scheme, body, build, layers
from netwright.devices.c import planned_entries
from netwright.graph import Graph

from . import Claim, Measured, System
from .mcunet import network

RAM = 262_144
FLASH = 1 << 20
STEPS = 5


def scheme(graph: Graph) -> Scheme:
    """The paper's scheme for 42 convolutions, counted from the end as deep in this network."""
    count = len(layers(graph))
    shift = count - 1 - 42  # a last linear layer aside
    pairs = zip((21, 24, 27, 30, 36, 39), (1.0, 1.0, 1.0, 1.0, 0.125, 0.25))
    return Scheme(round(22 * count / 42), tuple((i + shift, ratio) for i, ratio in pairs))


def in_256_kilobytes(data: Path | None, seed: int) -> Measured:
    """RAM of real steps on the emulated core, their parameters held against the reference after each."""
    graph = body(network(data))
    entries = build(graph, scheme(graph), rate=1e-4, residue="int8")
    program = device("cortex-m7", ram=str(RAM)).compile(entries)
    runner, rng, equal = entries["train_step"].runner(), np.random.default_rng(seed), 0
    program.reset("train_step")
    for step in range(STEPS):
        x = rng.integers(-128, 128, graph.inputs[0].shape[1:]).astype(np.int8)
        runner.step(x[None], np.array([step % 2], np.int32))
        program.step(x, np.int32(step % 2), entry="train_step")
        equal += all(v.tobytes() == program.state(n).tobytes() for n, v in runner.states.items())
    profile = program.profile(x[None], np.zeros(1, np.int32), entry="train_step")
    note = f"{equal} of {STEPS} steps left every parameter byte-equal to the reference; Flash {profile.flash_total:,} B"
    fits = profile.ram_total <= RAM and profile.flash_total <= FLASH
    return Measured(profile.ram_total, fits and equal == STEPS, note)


def immediate_update(data: Path | None, seed: int) -> Measured:
    """Planned arena of a step with each update right behind its gradient, over that with all updates at the end."""
    graph = body(network(data))
    peaks = {}
    for schedule in ("immediate", "end"):
        entries = build(graph, scheme(graph), rate=1e-4, residue="int8", schedule=schedule)  # type: ignore[arg-type]
        peaks[schedule] = planned_entries(entries)["train_step"].bytes
    share = peaks["immediate"] / peaks["end"]
    note = f"{peaks['immediate']:,} of {peaks['end']:,} B of arena, the same scheme"
    return Measured(100 * share, share <= 0.6, note)


system = System(
    name="tiny-training-engine",
    paper="Lin et al. 2022 (On-Device Training Under 256KB Memory)",
    about="sparse, quantisation-aware updates of an int8 network, compiled ahead of time",
    claims=(
        Claim(
            "training fits a microcontroller",
            "under 256 KB of SRAM and 1 MB of Flash",
            "a network of MCUNet's kind, the published sparse scheme; here MCUNet's network for visual wake words",
            "B of RAM",
            in_256_kilobytes,
        ),
        Claim(
            "an update right behind its gradient saves memory",
            "at most 60 % of the peak (our bar)",
            "against all updates at the end, the same scheme",
            "% of the peak",
            immediate_update,
        ),
    ),
)
