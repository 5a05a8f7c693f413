"""A recording taken hop by hop gives what the whole program gives on what was heard last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from netwright import devices
from netwright.compile.stream import by_hops
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Quant, Type, save
from netwright.graph.builder import prefixed
from netwright.graph.ops import OPS
from netwright.tasks.front_end import Sound
from netwright.tasks.mel import LogMel


def listener(front: LogMel) -> Graph:
    """Sound to two numbers a band: the mean over frames and bands, and the bands' largest."""
    quant, out = Quant(0.05, 3), Quant(0.04, -5)
    b = Builder("listener")
    x = b.input("x", Type((1, front.frames, front.mels, 1), "int8", quant))
    b.output(b(OPS["q_mean"]((1, 2), False, quant, out), x), b(OPS["q_extreme"]((1,), False), x))
    graph = b.graph()
    return prefixed(graph, Sound(front, -9.0, 0.4).graph(graph.inputs[0].type))


@pytest.mark.parametrize(
    "front",
    [
        LogMel(8000, 1600, mels=12),  # a window of two hops
        LogMel(8000, 1500, 30.0, 10.0, 9),  # of three, and samples that fill no frame
        LogMel(4000, 900, 25.0, 10.0, 8),  # of two and a half
        LogMel(8000, 1200, 10.0, 20.0, 8),  # shorter than a hop
        LogMel(8000, 320, 40.0, 20.0, 8),  # one frame alone
    ],
    ids=str,
)
def test_hops_give_what_the_whole_recording_gives(front: LogMel, tmp_path: Path) -> None:
    graph = listener(front)
    small = by_hops(graph)
    hop, window = front.hop, front.window
    heard = window + (front.frames - 1) * hop if window > hop else front.frames * hop
    steps = -(-heard // hop) + 5
    sound = np.random.default_rng(0).normal(0, 3000, steps * hop).astype(np.int16)
    hops = sound.reshape(steps, hop)
    program = devices.get("cortex-m4").compile(small, out=tmp_path / "m4")
    results = program.run(hops, stream=True)
    runner = small.runner()
    for step, outputs in enumerate(zip(*results)):
        reference = runner.step(hops[step : step + 1])
        assert all(np.array_equal(ours, theirs[0]) for ours, theirs in zip(outputs, reference, strict=True))
    host = devices.get("host").compile(small, out=tmp_path / "host").run(hops, stream=True)
    assert all(np.array_equal(a, b) for a, b in zip(host, results))
    for end in range(steps - 4, steps + 1):
        # the last window ends with the last hop, or, shorter than one, begins with it
        stop = end * hop if window > hop else (end - 1) * hop + window
        start = stop - (window + (front.frames - 1) * hop)
        given = np.zeros((1, front.length), np.int16)
        part = sound[start:stop]
        given[0, : len(part)] = part
        for ours, theirs in zip(results, graph.run(given)):
            assert np.array_equal(ours[end - 1], theirs[0])


def test_before_anything_is_heard_there_is_silence() -> None:
    front = LogMel(8000, 1600, mels=12)
    graph = listener(front)
    silence = np.zeros((1, front.hop), np.int16)
    for ours, theirs in zip(by_hops(graph).run(silence), graph.run(np.zeros((1, 1600), np.int16))):
        assert np.array_equal(ours, theirs)


def test_a_hop_takes_less_memory_than_a_recording() -> None:
    front, device = LogMel(8000, 8000, mels=10), devices.get("cortex-m4")
    whole, small = (device.cost(g).ram_bytes["arena"] for g in (listener(front), by_hops(listener(front))))
    assert small < whole / 4


def test_what_takes_no_sound_is_refused(tmp_path: Path) -> None:
    b = Builder("plain")
    x = b.input("x", Type((1, 4), "int8", Quant(0.1, 0)))
    b.output(b(OPS["q_add"](x=Quant(0.1, 0), y=Quant(0.1, 0), out=Quant(0.2, 0)), x, x))
    with pytest.raises(UserError, match="only a program that takes sound"):
        by_hops(b.graph())
    save(b.graph(), tmp_path / "plain")
    given = [sys.executable, "-m", "netwright", "compile", "plain", "--hops"]
    done = subprocess.run(given, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "only a program that takes sound" in done.stderr
