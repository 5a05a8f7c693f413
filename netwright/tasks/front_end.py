"""What a compiled program takes: the sensor's own integers, and the graph that makes the network's int8 of them.

A task whose raw samples are 8-bit images, sound, or series of whole numbers has a front end; it is part of the program
and of everything that is counted. Training sees what it computes: the float samples of a `Task` are the reals that its
integers stand for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netwright.graph import Builder, Graph, Quant, Type
from netwright.graph.builder import prefixed
from netwright.graph.ops.front_end.normalise import QNormalise
from netwright.graph.ops.int8.arithmetic import quantise_multiplier
from netwright.graph.ops.int8.elementwise import QFlip, QRelabel, QRequantise

from .mel import LogMel
from .resize import resize

if TYPE_CHECKING:
    from .task import Split

STEEPEST = 4096.0  # int8 steps of one step of a sensor; anything but its offset saturates long before


class FrontEnd(Protocol):
    """From a sensor to a network."""

    @property
    def span(self) -> tuple[float, float] | None:
        """What the network's reals lie between, where that is known before any data is."""
        ...

    def graph(self, network: Type) -> Graph:
        """From one reading to the network's int8 input, [1, H, W, C] or [1, L, C]. Raises ValueError for an input that
        it cannot make."""
        ...

    def readings(self, split: Split, network: Type) -> np.ndarray:
        """Samples as the sensor gives them, for a network of this input: [n, ...] of the graph's own input."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain JSON."""
        ...


@dataclass(frozen=True)
class Pixels:
    """uint8 [1, H, W, C]: a pixel's int8 is itself less 128, so that nothing is lost; it stands for pixel * scale."""

    scale: float

    @property
    def span(self) -> tuple[float, float] | None:
        """Black to white."""
        return 0.0, 255 * self.scale

    def graph(self, network: Type) -> Graph:
        """See `FrontEnd`."""
        return _pixels(network)

    def readings(self, split: Split, network: Type) -> np.ndarray:
        """uint8 [n, H, W, C] at the network's resolution."""
        return np.clip(_resized(split.x, network), 0, 255).astype(np.uint8)

    def describe(self) -> dict[str, Any]:
        """See `FrontEnd`."""
        return {"kind": "pixels", "scale": self.scale}


@lru_cache(maxsize=64)
def _pixels(network: Type) -> Graph:
    quant = network.quant or Quant(1.0, 0)
    b = Builder("pixels")
    flipped = b(QFlip(), b.input("pixels", Type(network.shape, "uint8", Quant(quant.scale, 0))), name="pixels.int8")
    b.output(flipped if flipped.type.quant == quant else b(QRelabel(quant), flipped, name="pixels.unit"))
    return b.graph()


@dataclass(frozen=True)
class Sound:
    """int16 [1, samples]: log-mel features in fixed point; the network sees (feature - offset) * scale."""

    features: LogMel
    offset: float
    scale: float

    @property
    def span(self) -> tuple[float, float] | None:
        """Not known."""
        return None

    def graph(self, network: Type) -> Graph:
        """See `FrontEnd`."""
        return _sound(self, network)

    def readings(self, split: Split, network: Type) -> np.ndarray:
        """int16 [n, samples]."""
        assert split.sound is not None
        return split.sound

    def describe(self) -> dict[str, Any]:
        """See `FrontEnd`."""
        return {"kind": "log-mel", **asdict(self.features), "length": self.features.length}


@lru_cache(maxsize=64)
def _sound(front: Sound, network: Type) -> Graph:
    frames, mels = front.features.frames, front.features.mels
    if network.shape != (1, frames, mels, 1):
        raise ValueError(f"sound becomes {frames} frames of {mels} features, not an input of shape {network.shape}")
    unit = front.features.unit
    normal = Quant(float(np.float32(unit.scale * front.scale)), unit.zero + round(front.offset / unit.scale))
    b = Builder("sound")
    features = b.input("features", Type((1, frames, mels, 1), "int16", normal))
    b.output(b(QRequantise(normal, network.quant or Quant(1.0, 0)), features, name="log_mel.int8"))
    return prefixed(b.graph(), front.features.graph(normal))


@dataclass(frozen=True)
class Readings:
    """int16 [1, L, C]: the network sees (reading - offset) * scale of each channel; offsets are whole numbers."""

    offset: tuple[int, ...]
    scale: tuple[float, ...]

    @property
    def span(self) -> tuple[float, float] | None:
        """Not known."""
        return None

    def graph(self, network: Type) -> Graph:
        """See `FrontEnd`."""
        return _readings(self, network)

    def readings(self, split: Split, network: Type) -> np.ndarray:
        """int16 [n, L, C] of the network's length."""
        return np.clip(_resized(split.x, network), -(2**15), 2**15 - 1).astype(np.int16)

    def describe(self) -> dict[str, Any]:
        """See `FrontEnd`."""
        return {"kind": "readings", "offset": list(self.offset), "scale": list(self.scale)}


@lru_cache(maxsize=64)
def _readings(front: Readings, network: Type) -> Graph:
    if network.shape[-1] != len(front.offset):
        raise ValueError(f"{len(front.offset)} channels do not make an input of shape {network.shape}")
    quant = network.quant or Quant(1.0, 0)
    pairs = np.array([quantise_multiplier(min(STEEPEST, s / quant.scale)) for s in front.scale], np.int32)
    b = Builder("readings")
    x = b.input("readings", Type(network.shape, "int16"))
    tables = {"offset": np.array(front.offset, np.int32), "multiplier": pairs[:, 0], "shift": pairs[:, 1]}
    held = [b.constant(np.ascontiguousarray(t), f"readings.{name}") for name, t in tables.items()]
    b.output(b(QNormalise(quant), x, *held, name="readings.int8"))
    return b.graph()


def _resized(x: np.ndarray, network: Type) -> np.ndarray:
    """Raw samples [n, C, ...] at the network's size, rounded, channels last."""
    sizes = network.shape[1:-1]
    raw = x if x.shape[2:] == sizes else np.rint(resize(x.astype(np.float32), sizes))
    return np.ascontiguousarray(np.moveaxis(raw, 1, -1))


def whole_numbers(x: np.ndarray) -> bool:
    """Whether all values are integers of int16."""
    return bool(np.abs(x).max(initial=0) < 2**15 and (x == np.rint(x)).all())
