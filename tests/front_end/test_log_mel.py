"""Log-mel features in fixed point: near the float ones, and the same integers everywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from netwright import devices
from netwright.devices.cortex_m.flags import GCC
from netwright.graph import Builder, Quant, Type, load, save
from netwright.graph.ops import OPS
from netwright.tasks.mel import FLOOR, LogMel

# rate in Hz, samples, window and hop in ms, filters
SHAPES = (
    (8000, 8000, 40.0, 20.0, 40),
    (16000, 16000, 40.0, 20.0, 40),
    (16000, 7001, 25.0, 10.0, 23),
    (8000, 320, 40.0, 20.0, 10),
    (4000, 1999, 31.7, 9.3, 32),
    (500, 300, 40.0, 20.0, 12),
    (44100, 9000, 30.0, 15.0, 64),
    (8000, 100, 40.0, 20.0, 8),  # shorter than a window
)
SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)


def front_of(shape: tuple[int, int, float, float, int]) -> LogMel:
    return LogMel(*shape)


def sounds(front: LogMel, count: int = 6) -> np.ndarray:
    """Noise at several levels, full-scale tones, square waves at the ends of int16, a click, silence."""
    rng, n = np.random.default_rng(front.samples), front.length
    t = np.arange(n)
    rows = [
        rng.normal(0, 2000, n),
        rng.normal(0, 40, n),
        32767 * np.sin(0.3 * t),
        np.where(np.sin(0.05 * t) < 0, -32768, 32767),
        rng.choice([-32768, 32767], n),
        np.where(t == n // 2, -32768, 0),
        np.zeros(n),
        np.full(n, -32768),
    ]
    made = np.stack([np.clip(np.rint(r), -32768, 32767) for r in rows[-count:]]).astype(np.int16)
    made[:, front.samples :] = 0
    return made


@SHAPE
def test_features_lie_near_the_float_ones(shape: tuple[int, int, float, float, int]) -> None:
    """Within 0.05 (natural logarithm) where a filter's energy is at least 100 times the floor and not 80 dB below the
    frame's loudest, whose error of 16-bit roots reaches everywhere; within half a unit above and at the floor itself."""
    front = front_of(shape)
    given = sounds(front, 8)
    (codes,) = front.graph().run(given)
    ours = front.unit.scale * (codes[..., 0].astype(np.float64) - front.unit.zero)
    theirs = np.stack([front(row / 2**15) for row in given])
    assert ours.shape == theirs.shape
    error = np.abs(ours - theirs)
    loud = (theirs > np.log(100 * FLOOR)) & (theirs > theirs.max(2, keepdims=True) - 80 / 10 * np.log(10))
    assert error[loud].max() < 0.05 and error[loud].mean() < 0.003
    assert error.max() < 0.5
    assert np.abs(ours[6] - np.log(FLOOR)).max() < 0.01  # silence


@SHAPE
def test_reference_host_and_core_give_the_same_integers(
    shape: tuple[int, int, float, float, int], tmp_path: Path
) -> None:
    front = front_of(shape)
    graph, given = front.graph(), sounds(front)
    (expected,) = graph.run(given)
    assert np.array_equal(devices.get("host").compile(graph, out=tmp_path / "host").run(given)[0], expected)
    device = devices.get("cortex-m4")
    program = device.compile(graph, out=tmp_path / "m4")
    assert np.array_equal(program.run(given)[0], expected)
    arena = program.profile(given[:1]).ram_bytes["arena"]
    assert arena == device.cost(graph).ram_bytes["arena"]
    points = graph.nodes[0].inputs[2].shape[0]
    assert arena <= 2 * front.length + 8 * points + 2 * max(0, front.frames * (front.mels - front.hop)) + 16


@pytest.mark.parametrize("core", ("cortex-m0plus", "cortex-m7"))
def test_cores_with_and_without_the_extension_agree(core: str, tmp_path: Path) -> None:
    front = LogMel(8000, 2000)
    graph, given = front.graph(), sounds(front)
    assert np.array_equal(devices.get(core).compile(graph, out=tmp_path).run(given)[0], graph.run(given)[0])


@pytest.mark.skipif(shutil.which(GCC) is None, reason=f"{GCC} is not on the PATH")
def test_the_second_compiler_gives_the_same_integers(tmp_path: Path) -> None:
    front = LogMel(8000, 2000)
    graph, given = front.graph(), sounds(front)
    program = devices.get("cortex-m4").compile(graph, {"compiler": GCC}, tmp_path)
    assert np.array_equal(program.run(given)[0], graph.run(given)[0])


def test_recordings_of_a_batch_do_not_mix() -> None:
    front = LogMel(8000, 2000)
    graph, given = front.graph(), sounds(front)
    alone = np.concatenate([graph.run(row[None])[0] for row in given])
    assert np.array_equal(graph.run(given)[0], alone)


def test_the_cost_model_counts_it(tmp_path: Path) -> None:
    """Modelled instructions within 10 % of measured, stack and Flash near; constants are counted to the byte."""
    device = devices.get("cortex-m4")
    for shape in SHAPES[:3]:
        graph = front_of(shape).graph()
        model, measured = device.cost(graph), device.compile(graph, out=tmp_path).profile()
        assert abs(model.instructions / measured.instructions - 1) < 0.1
        assert abs(model.flash_bytes["rodata"] - measured.flash_bytes["rodata"]) <= 64
        assert abs(model.flash_bytes["text"] - measured.flash_bytes["text"]) < 500


def test_a_saved_front_end_computes_the_same(tmp_path: Path) -> None:
    front = LogMel(8000, 2000)
    graph, given = front.graph(), sounds(front)
    save(graph, tmp_path)
    again = load(tmp_path)
    assert again.content_hash == graph.content_hash
    assert np.array_equal(again.run(given)[0], graph.run(given)[0])


def test_what_is_no_front_end_is_refused() -> None:
    graph = LogMel(8000, 2000).graph()
    node = graph.nodes[0]
    types = [v.type for v in node.inputs]
    op = OPS["q_log_mel"]
    bad = {
        "hop 0": (op(0, 1), types),
        "floor 0": (op(160, 0), types),
        "100 samples": (op(160, 1), [Type((1, 100), "int16"), *types[1:]]),
        "int16": (op(160, 1), [Type((1, 2000)), *types[1:]]),
        "a window of 320": (op(160, 1), [types[0], types[1], Type((100, 2), "int16"), *types[3:]]),
        "shapes": (op(160, 1), [*types[:5], Type((9,), "int16")]),
    }
    for words, (wrong, given) in bad.items():
        with pytest.raises(ValueError, match=words):
            wrong.types(*given)
    b = Builder("readings")
    with pytest.raises(ValueError, match="q_normalise takes int16"):
        b(OPS["q_normalise"](Quant(1.0, 0)), b.input("x", Type((1, 4, 3))), *[b.input("t", Type((3,), "int32"))] * 3)
